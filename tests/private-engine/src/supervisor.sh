# Runs one engine and, with `clean.sh` behind it, removes what it left. Standard output and error
# are the engine's log, whose lock says that the folder is in use; so this shell has to be the last
# to close it. Standard input is the lifeline: a line on it, or its end, stops the engine.
# Arguments: device, folder of the running engine, data folder or nothing, network namespace to
# connect to, what connects the device there, the engine's address, its host name or nothing, the
# signal that stops it, then dockerd and its arguments.
set -u
# Handled, not ignored: containers would inherit that.
trap : HUP INT TERM
device=$1 run=$2 data=$3 outside=$4
shift 4
exec 4<"$outside"

# First process of the namespace: when it ends, the kernel ends all others, their mounts and their
# network. The machine's own files in /etc/docker and /run are hidden, but for what names are looked
# up with. The engine's socket is where containers that manage stacks expect it.
inside='
device=$1 run=$2 plug=$3 address=$4 host_name=$5 signal=$6
shift 6
exec 3<&0 </dev/null
[ -z "$host_name" ] || echo "$host_name" >/proc/sys/kernel/hostname
nsenter --net=/proc/self/fd/4 sh -c "
  ip link delete \"\$1\" 2>/dev/null
  ip link add \"\$1\" type veth peer name eth0 netns 1 && $plug
" plug "$device" || exit 1
exec 4<&-
ip addr add "$address" dev eth0 && ip link set eth0 up && ip link set lo up || exit 1
resolver=$(readlink -f /etc/resolv.conf)
names=$(cat "$resolver" 2>/dev/null)
hide() { mkdir -p "$1" && mount -t tmpfs tmpfs "$1" || exit 1; }
cd "$run" && hide /etc/docker && hide /run || exit 1
# A folder that is itself in /run is hidden now, and only the working directory still leads to it.
[ -d "$run" ] || { mkdir -p "$run" && mount --no-canonicalize --bind . "$run" || exit 1; }
cd / && hide "$run/exec"
[ -e "$resolver" ] || { mkdir -p "${resolver%/*}" && echo "$names" >"$resolver"; }
ln -s "$run/docker.sock" /run/docker.sock || exit 1
"$@" 3<&- &
engine=$!
( read -r _ <&3; kill "-$signal" "$engine" ) &
wait "$engine"
'
unshare --mount --net --uts --pid --fork --kill-child --mount-proc \
  sh -c "$inside" inside "$device" "$run" "$@"
status=$?
exec 4<&-
