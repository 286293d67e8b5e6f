# Removes what an engine leaves. Expects `device`, `run`, `data` (or nothing) and `outside`.
# The kernel removes the device too, but takes its time.
nsenter --net="$outside" ip link delete "$device" 2>/dev/null
for group in "/sys/fs/cgroup/$device" /sys/fs/cgroup/*/"$device"; do
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \;
done
rm -rf "$run"
[ -z "$data" ] || rm -rf "$data"
exit "${status-0}"
