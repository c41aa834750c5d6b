# Runs as the first process of namespaces of its own: makes a copy of this system that leaves with it, and becomes its
# service manager. Arguments: an empty folder, the folder of the packages, `boot` or `idle`.
set -eu
place=$1 packages=$2 way=$3

mount -t tmpfs -o size=3g,mode=755 tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" overlay "$place/root"
root=$place/root

# What this machine starts by itself is not to be started a second time.
rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/*.requires
for file in "$root"/etc/systemd/system/tessera-*; do rm -rf "$file"; done
rm -f "$root/etc/machine-id" "$root/usr/sbin/policy-rc.d"
# Not empty: an empty one would have every unit enabled by the presets.
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
: >"$root/etc/fstab"

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
if [ "$way" = boot ]; then
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for name in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${name#*:}" "$root/dev/${name%:*}"; done
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
mkdir -p "$root/srv/packages"
cp "$packages"/*.deb "$packages"/*.rpm "$root/srv/packages/"
chmod 777 "$root/srv"

# The only network is the machine's own loopback, and nothing of the machine's mounts stays visible.
hostname packaged
echo packaged >"$root/etc/hostname"
echo "127.0.0.1 localhost packaged" >"$root/etc/hosts"
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || true
cd "$root"
mkdir old
pivot_root . old
umount -l old
rmdir old

set -- env -i container=tessera-package PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
if [ "$way" = boot ]; then
    exec "$@" /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no
fi
exec "$@" sleep 100000
