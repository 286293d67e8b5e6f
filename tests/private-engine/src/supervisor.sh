# Runs one engine and removes what it left. Standard output and error are the engine's log, whose
# lock says that the folder is in use; so this shell has to be the last to close it.
# Standard input is the lifeline: a line on it, or its end, stops the engine.
# Arguments: bridge, folder of the running engine, data folder or nothing, then dockerd and its
# arguments.
set -u
# Handled, not ignored: containers would inherit that.
trap : HUP INT TERM
bridge=$1 run=$2 data=$3
shift 3

# First process of the namespace: when it ends, the kernel ends all others and their mounts.
# The engine's own files in /etc and /run are hidden by empty ones.
inside='
run=$1
shift
exec 3<&0 </dev/null
for hidden in /etc/docker /run/containerd /run/docker "$run/exec"; do
  mkdir -p "$hidden" && mount -t tmpfs tmpfs "$hidden" || exit 1
done
"$@" 3<&- &
engine=$!
( read -r _ <&3; kill -TERM "$engine" ) &
wait "$engine"
'
unshare --mount --pid --fork --kill-child --mount-proc \
  sh -c "$inside" inside "$run" "$@"
status=$?

ip link delete "$bridge" 2>/dev/null
rm -rf "$run"
[ -z "$data" ] || rm -rf "$data"
exit "$status"
