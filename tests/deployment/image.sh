#!/usr/bin/env bash
# Builds the image for real and runs it as it is meant to be run: as an ordinary user, on a read-only file system.
#
# Needs buildah, and to run containers podman; where podman cannot (inside some containers), root runs the image's file
# system itself, mounted read-only. BUILD_FLAGS goes to `buildah build`: a proxy, a package index, --pull=never for a
# base image that is on this machine only.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in buildah curl setpriv; do
  command -v "$tool" >/dev/null || { echo "image-test: there is no $tool on this machine" >&2; exit 1; }
done

image=localhost/tuner:0.1.0
port=18321
data=$(mktemp -d)
chmod 777 "$data"

# shellcheck disable=SC2086 (several flags)
buildah build ${BUILD_FLAGS:-} --tag "$image" .
echo "size: $(buildah images --format '{{.Size}}' "$image")"

stop() { :; }
trap 'stop; rm -rf "$data"' EXIT

if podman run --rm --network host --read-only "$image" --version 2>/dev/null; then
  container=$(podman run --detach --network host --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges \
    --env TUNER_HOST=127.0.0.1 --env TUNER_PORT=$port --volume "$data:/data" "$image")
  stop() { podman stop --time 25 "$container" >/dev/null; podman rm "$container" >/dev/null; }
else
  echo "podman cannot run containers here: the image's file system is run by itself"
  working=$(buildah from --pull=never "$image")
  root=$(mktemp -d)
  mount --bind "$(buildah mount "$working")" "$root"
  mount -o remount,ro,bind "$root"
  mount --bind "$data" "$root/data"
  mount -t tmpfs tmpfs "$root/tmp"
  mount --bind /dev "$root/dev"
  environment=$(buildah inspect --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' "$working")
  # shellcheck disable=SC2086 (one variable each)
  chroot --userspec=10001:10001 "$root" /usr/bin/env -i $environment TUNER_HOST=127.0.0.1 TUNER_PORT=$port tuner serve &
  served=$!
  stop() {
    kill -TERM "$served" && wait "$served"
    umount "$root/dev" "$root/tmp" "$root/data" "$root"
    buildah umount "$working" >/dev/null
    buildah rm "$working" >/dev/null
  }
fi

began=$(date +%s%N)
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/readyz"; do
  (( $(date +%s%N) - began < 60 * 10**9 )) || { echo "image-test: not ready within a minute" >&2; exit 1; }
  sleep 0.05
done
echo "ready after $(( ($(date +%s%N) - began) / 10**6 )) ms"
[ "$(curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$port/v1/studies")" = 401 ] ||
  { echo "image-test: it asks for no token" >&2; exit 1; }
[ -f "$data/tuner.db" ]
[ "$(stat --format %u "$data/tuner.db")" != 0 ]
echo "image-test: the image serves, asks for tokens, and writes to its volume only"
