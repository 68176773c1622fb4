#!/bin/bash
# First process of a host, in its namespaces: disk and name of its own, then a parent to orphans.
#   host.sh NAME DISK_MIB HOSTS_FILE KEPT… -- HIDDEN…
# Everything but /tmp, /run and /dev/shm is read-only; the folders HIDDEN are empty, the folders KEPT
# are there, though they lie in /tmp.
set -eu
name=$1 disk_mib=$2 hosts_file=$3
shift 3
mount --make-rprivate /
hosts=$(cat "$hosts_file")
mount -t tmpfs -o "size=16m,mode=755" tmpfs /run
kept=()
while [ "$1" != -- ]; do
  mkdir -p "/run/kept/${#kept[@]}"
  mount --bind "$1" "/run/kept/${#kept[@]}"
  kept+=("$1")
  shift
done
shift
mount -t tmpfs -o "size=${disk_mib}m,mode=1777" tmpfs /tmp
for i in "${!kept[@]}"; do
  mkdir -p "${kept[i]}"
  mount --move "/run/kept/$i" "${kept[i]}"
  mount -o remount,bind,ro "${kept[i]}"
done
mount -t tmpfs -o "size=1g,mode=1777" tmpfs /dev/shm
mkdir -p /tmp/home /run/sshd
printf '%s\n' "$hosts" > /run/hosts
mount --bind /run/hosts /etc/hosts
sed 's|^\(root:[^:]*:[^:]*:[^:]*:[^:]*\):[^:]*:|\1:/tmp/home:|' /etc/passwd > /run/passwd
mount --bind /run/passwd /etc/passwd
hostname "$name"
for folder in "$@"; do mount -t tmpfs -o ro,size=4k tmpfs "$folder"; done
mount -o remount,bind,ro /
touch /run/started
trap : CHLD
while :; do
  sleep 3600 &
  wait || true
done
