# Runs "$@" as the command of the job sees the world: with its variables, in its working directory. A step of srun has
# neither, so they are read from the oldest process that the job's command left on this node.
gj_command() { # the number of that process
  grep -lzx "SLURM_JOB_ID=$SLURM_JOB_ID" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | sort -n | while read -r gj_pid; do
    gj_seen=/proc/$gj_pid/environ
    # Nodes, and clusters with the same numbers, can share a machine. The last line tells it from this very step, whose
    # client may itself run in a job of gpujobs.
    if grep -qzx "SLURMD_NODENAME=$SLURMD_NODENAME" "$gj_seen" &&
      grep -qzx "SLURM_CLUSTER_NAME=${SLURM_CLUSTER_NAME-.*}" "$gj_seen" &&
      grep -qzx 'GPUJOBS_LOCAL_RANK=0' "$gj_seen" && grep -qz '^GPUJOBS_KEY=' "$gj_seen" &&
      ! grep -qzx "SLURM_STEP_ID=$SLURM_STEP_ID" "$gj_seen"; then
      echo "$gj_pid"
      break
    fi
  done 2>/dev/null
}

while [ $SECONDS -lt 15 ]; do # a job that runs may be about to start its command
  gj_pid=$(gj_command)
  if [ -n "$gj_pid" ]; then
    gj_term=$TERM
    # Not by env(1): its arguments, so also secrets, would be seen by all on the node.
    for gj_var in $(compgen -e); do unset "$gj_var"; done 2>/dev/null
    while IFS= read -r -d '' gj_var; do export "${gj_var?}"; done <"/proc/$gj_pid/environ" 2>/dev/null
    [ -z "$gj_term" ] || export TERM="$gj_term"
    cd "$(readlink "/proc/$gj_pid/cwd")" 2>/dev/null || :
    exec "$@"
  fi
  sleep 0.2
done
echo "gpujobs: job $SLURM_JOB_ID runs no command on $HOSTNAME now, so its variables are not known here" >&2
exec "$@"
