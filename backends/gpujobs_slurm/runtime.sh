# What every job of gpujobs does around its command. The record is the job directory $gj_dir.
gj_say() { echo "gpujobs: $*" >&2; }

gj_note() { # FILE TEXT: into the record, whole or not at all
  printf '%s\n' "$2" >"$gj_dir/.$1.$$" && mv -f "$gj_dir/.$1.$$" "$gj_dir/$1"
}

gj_claim() { # FILE TEXT: true for whoever was first; a link is atomic, also where NFS sends it twice
  ln -sT "$2" "$gj_dir/$1" 2>/dev/null
  [ "$(readlink "$gj_dir/$1")" = "$2" ]
}

gj_clean() { tr -cd 'A-Za-z0-9 .,:;=_*()/+-' | tail -c 200; }

gj_begin() { # claim the key: a job that was sent twice runs once
  if [ ! -d "$gj_dir" ]; then
    gj_say "the job directory $gj_dir is not on node ${SLURMD_NODENAME:-$HOSTNAME}: job_dir must be on a shared file system"
    exit 74
  fi
  # Before the owner is known: whoever reads the owner's id finds the record by it.
  [ -e "$gj_root/ids/$gj_id" ] || ln -sT "../${gj_dir##*/}" "$gj_root/ids/$gj_id" 2>/dev/null
  if ! gj_claim "owner$gj_at" "$gj_me"; then
    gj_owner=$(readlink "$gj_dir/owner$gj_at")
    if [ -z "$gj_owner" ]; then gj_say "the job directory $gj_dir cannot be written"; exit 74; fi
    gj_say "job $gj_owner runs this already; job $gj_me ends without running it"
    exit 75
  fi
  if [ -e "$gj_dir/cancelled" ] || [ -e "$gj_dir/cancelled$gj_at" ]; then
    gj_say "it was cancelled before it started"
    exit 75
  fi
  if ! gj_claim "attempt$gj_at.$gj_attempt" "$SLURM_JOB_ID.$HOSTNAME.$$.$(date +%s%N)"; then
    gj_say "attempt $gj_attempt of job $gj_me runs already"
    exit 75
  fi
  gj_start=$(date +%s.%N)
  gj_out=$(readlink /proc/$$/fd/1)
  gj_err=$(readlink /proc/$$/fd/2)
  gj_note "started$gj_at.$gj_attempt" "{\"attempt\":$gj_attempt,\"node\":\"$(echo "${SLURMD_NODENAME:-$HOSTNAME}" | gj_clean)\",\"start\":$gj_start}"
  if [ -n "$gj_keep_output" ]; then
    ln -sfT "$gj_out" "$gj_dir/out$gj_at"
    [ "$gj_err" = "$gj_out" ] || ln -sfT "$gj_err" "$gj_dir/err$gj_at"
  else
    exec >>"$gj_dir/log$gj_at.$gj_attempt" 2>&1
  fi
}

gj_oom() { # how many of our processes the kernel killed for memory; the leaf cgroup counts (v1 shows 0 in its parents)
  while IFS=: read -r _ gj_c gj_p; do
    case $gj_c in
    memory) sed -n 's/^oom_kill //p' "/sys/fs/cgroup/memory$gj_p/memory.oom_control" ;;
    "") sed -n 's/^oom_kill //p' "/sys/fs/cgroup$gj_p/memory.events" ;;
    esac
  done </proc/self/cgroup 2>/dev/null | sort -n | tail -n 1
}

gj_on_term() { # Slurm sends TERM to all processes of the job; KILL follows after the job's own grace
  [ -z "$gj_got" ] || return
  gj_got=TERM
  ( sleep "$gj_grace"; kill -KILL "$gj_pid" ) >/dev/null 2>&1 &
  gj_killer=$!
}

gj_wait() { # run "$@"; gj_rc is its status. A trap runs only while the shell waits, so the command is in the background
  trap gj_on_term TERM
  trap 'kill -USR1 "$gj_pid"' USR1
  trap 'kill -USR2 "$gj_pid"' USR2
  "$@" &
  gj_pid=$!
  while :; do
    wait "$gj_pid"
    gj_rc=$?
    kill -0 "$gj_pid" 2>/dev/null || break
  done
  trap '' TERM
  [ -z "$gj_killer" ] || kill "$gj_killer" 2>/dev/null
}

gj_end() { # leave the outcome, try again where that was asked for, and leave with the command's status
  [ "$gj_rc" -eq 0 ] || [ ! -L "$gj_dir/failed$gj_at.$gj_attempt" ] || gj_rc=$(readlink "$gj_dir/failed$gj_at.$gj_attempt")
  gj_note_text=$(grep -a 'slurmstepd.*\(\*\*\*\|oom\)' "$gj_out" 2>/dev/null | tail -n 1 | gj_clean)
  gj_killed=$(cat "$gj_dir"/.oom"$gj_at"."$gj_attempt".* 2>/dev/null | sort -n | tail -n 1)
  gj_note "outcome$gj_at.$gj_attempt" "{\"attempt\":$gj_attempt,\"exit\":$gj_rc,\"received\":\"$gj_got\",\"note\":\"$gj_note_text\",\"oom\":${gj_killed:-$(gj_oom | grep . || echo 0)},\"start\":$gj_start,\"end\":$(date +%s.%N)}"
  if [ "$gj_rc" -ne 0 ] && [ -z "$gj_got" ]; then
    gj_try=0
    while [ "$gj_try" -lt "$gj_retries" ]; do
      if gj_claim "retry$gj_at.$gj_try" "$gj_attempt"; then
        gj_say "attempt $gj_attempt ended with exit code $gj_rc; retry $((gj_try + 1)) of $gj_retries"
        trap 'exit "$gj_rc"' TERM
        scontrol requeue "$SLURM_JOB_ID" && { sleep 600 & wait $!; }
        gj_say "Slurm did not start it again"
        break
      fi
      gj_try=$((gj_try + 1))
    done
  fi
  exit "$gj_rc"
}

gj_ranks() { # who this process is among all of the job
  export GPUJOBS_RANK="${SLURM_PROCID:-0}" GPUJOBS_LOCAL_RANK="${SLURM_LOCALID:-0}" GPUJOBS_NODE_RANK="${SLURM_NODEID:-0}"
}

gj_task() { # one task of srun: its own log, its own count of OOM kills
  [ -n "$gj_keep_output" ] || exec >>"$gj_dir/log$gj_at.r$SLURM_NODEID.$gj_attempt" 2>&1
  gj_ranks
}

gj_task_end() {
  gj_killed=$(gj_oom)
  [ "${gj_killed:-0}" -eq 0 ] || gj_note ".oom$gj_at.$gj_attempt.$SLURM_PROCID" "$gj_killed"
  # srun then ends the others, and would give their highest code: the first failure is the reason
  [ "$gj_rc" -eq 0 ] || gj_claim "failed$gj_at.$gj_attempt" "$gj_rc"
  exit "$gj_rc"
}

gj_run() { # the command, in a task of srun or in the batch script itself
  if [ -n "${gj_in_task-}" ]; then
    gj_wait "$@"
    gj_task_end
  fi
  gj_wait "$@"
  gj_end
}

# The scheduler's own variables are not the job's business, and a token would be a secret.
unset SLURM_JWT SLURM_EXPORT_ENV
gj_root=${gj_dir%/*}
gj_id=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}
gj_element=${SLURM_ARRAY_TASK_ID-}
gj_me=$gj_id${gj_element:+_$gj_element}
gj_at=${gj_element:+.$gj_element}
gj_attempt=${SLURM_RESTART_COUNT:-0}
gj_got='' gj_killer='' gj_pid='' gj_rc=0
export GPUJOBS_REF="$gj_scheme/$gj_me" GPUJOBS_ATTEMPT="$gj_attempt"
