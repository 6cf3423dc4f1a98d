#!/bin/bash
# build.sh [VERSION]: builds the Kubernetes programs (one multi-call binary), the GPU plugin and CoreDNS out of the Go
# module proxy into $KLAB/bin, once per version. An interrupted build goes on where it was.
# KLAB_VERSION is the default version, another than that in a KLAB of its own.
# KLAB_EXTRAS="helm kwok" builds those two as well (charts, simulated nodes).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"; set -euo pipefail
V=${1:-${KLAB_VERSION:-1.36.3}}
export GOFLAGS=-mod=mod CGO_ENABLED=0 GOTOOLCHAIN=local
mkdir -p "$KLAB/bin" "$KLAB/src"

kubernetes() {
  local src=$KLAB/src/labk8s-$V out=$KLAB/bin/labk8s-$V gomod staging name
  mkdir -p "$src/gpuplugin"; cp "$HERE"/labk8s/*.go "$src/"; cd "$src"
  if [ ! -s go.mod ]; then
    # The published go.mod requires its staging modules at v0.0.0 and replaces them by folders that are not in the
    # module; v1.X.Y of Kubernetes goes with v0.X.Y of each of them.
    gomod=$(cd /tmp && go mod download -json "k8s.io/kubernetes@v$V" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
    staging=$(awk '$2=="=>" && $3 ~ "^./staging/src/k8s.io/" {print $1}' "$gomod")
    { printf 'module gpujobs.test/labk8s\n\ngo %s\n\n%s\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' \
        "$(awk '$1=="go"{print $2}' "$gomod")" "$(awk '$1=="godebug"' "$gomod" | head -1)" "$V"
      for m in $staging; do printf '\t%s => %s v0.%s\n' "$m" "$m" "${V#1.}"; done; echo ')'; } > go.mod.tmp
    mv go.mod.tmp go.mod
  fi
  if [ ! -x "$out" ]; then
    # Without the stamp it reports v0.0.0-master and clients misjudge what it can do.
    local p=k8s.io/component-base/version m=${V%.*}
    go build -trimpath -ldflags "-s -w -X $p.gitVersion=v$V -X $p.gitMajor=1 -X $p.gitMinor=${m#1.} -X $p.gitTreeState=clean" -o "$out.tmp" .
    mv "$out.tmp" "$out"
  fi
  # The same modules, but small: a change to the plugin links in seconds.
  if [ ! -x "$BIN/gpuplugin" ] || [ "$HERE/gpuplugin/main.go" -nt "$BIN/gpuplugin" ]; then
    cp "$HERE/gpuplugin/main.go" "$src/gpuplugin/"
    go build -trimpath -ldflags '-s -w' -o "$BIN/gpuplugin.tmp" ./gpuplugin && mv "$BIN/gpuplugin.tmp" "$BIN/gpuplugin"
  fi
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
    ln -sfn "labk8s-$V" "$KLAB/bin/$name"
  done
}

# tool NAME MODULE PACKAGE VERSION: an ordinary Go program.
tool() {
  [ -x "$KLAB/bin/$1-$4" ] || { GOFLAGS= GOBIN=$KLAB/src/gobin go install -trimpath -ldflags '-s -w' "$3@v$4"; mv "$KLAB/src/gobin/${3##*/}" "$KLAB/bin/$1-$4"; }
  ln -sfn "$1-$4" "$KLAB/bin/$1"
}

kubernetes
tool coredns github.com/coredns/coredns github.com/coredns/coredns 1.14.7 || echo "no CoreDNS: headless Services will not resolve" >&2
wanted() { [[ " ${KLAB_EXTRAS:-} " == *" $1 "* ]]; }
! wanted helm || tool helm helm.sh/helm/v3 helm.sh/helm/v3/cmd/helm 3.21.4
wanted kwok || { "$KLAB/bin/kubelet" --version; exit; }
tool kwok sigs.k8s.io/kwok sigs.k8s.io/kwok/cmd/kwok 0.8.0 || echo "no kwok: no simulated nodes" >&2
# kwok has no stages of its own: how a simulated node or pod moves on is in these files of its module.
kwok_dir=$(cd /tmp && go mod download -json sigs.k8s.io/kwok@v0.8.0 | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
[ -z "$kwok_dir" ] || for f in "$kwok_dir"/kustomize/stage/{node/fast,node/heartbeat-with-lease,pod/fast}/[!k]*.yaml; do echo ---; cat "$f"; done > "$BIN/kwok-stages.yaml"
"$KLAB/bin/kubelet" --version
