# Runs the network of a cluster, with the registry in it, and removes them. Its first line of output
# is the process whose network namespace it is; the next ones are the log.
# Standard input is the lifeline: its end stops it.
# Arguments: device on this machine, this machine's address, the switch's own, folder of the
# registry.
set -u
trap : HUP INT TERM
device=$1 folder=$4
exec 4</proc/self/ns/net

inside='
exec 3<&0 </dev/null
nsenter --net=/proc/self/fd/4 sh -c "
  ip link delete \"\$1\" 2>/dev/null
  ip link add \"\$1\" type veth peer name uplink netns 1 &&
    ip addr add \"\$2\" dev \"\$1\" && ip link set \"\$1\" up
" plug "$1" "$2" || exit 1
exec 4<&-
ip link add switch type bridge && ip addr add "$3" dev switch && ip link set switch up &&
  ip link set uplink master switch && ip link set uplink up && ip link set lo up || exit 1
docker-registry serve "$4/config.yml" 3<&- >/dev/null &
read -r _ <&3
'
# A shell gives what runs in the background no input but this.
exec 3<&0
unshare --mount --net --pid --fork --kill-child --mount-proc \
  sh -c "$inside" inside "$@" <&3 &
echo $!
exec 3<&- 4<&- </dev/null
wait $!
ip link delete "$device" 2>/dev/null
rm -rf "$folder"
