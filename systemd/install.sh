#!/bin/sh
# Install, upgrade or remove the service, from an unpacked bundle or (`make install`) a checkout.
#   sudo ./install.sh               upgrade keeps settings; one that does not come up is undone
#   sudo OPENCV=1 ./install.sh      with OpenCV also where there is picamera2: for other cameras
#   sudo ./install.sh --uninstall   leaves nothing; KEEP=1 keeps settings
# Each version has a folder of its own, and `current` is a link to it: what runs is not touched
# until its successor is complete.
set -eu
umask 022  # the service, which is not root, has to read it all

HOME_DIR=/opt/fer-edge
SETTINGS=/etc/fer-edge
STATE=/var/lib/fer-edge              # where DynamicUser puts it: a link into /var/lib/private
UNIT=fer-edge.service
UNITS=/etc/systemd/system
PYTHON=${PYTHON:-/usr/bin/python3}  # the system's: the unit cannot see one in a home folder
by_opencv='^[[:space:]]*source[[:space:]]*=[[:space:]]*.(v4l2|http|rtsp)'
PATIENCE=${PATIENCE:-60}            # seconds for the new version to come up

here=$(cd "$(dirname "$0")" && pwd)
release=
previous=
switched=
was_enabled=
before=

say() { echo "fer-edge: $*" >&2; }

fail() {
	say "$*"
	exit 1
}

main() {
	[ "$(id -u)" = 0 ] || fail 'root has to do this: sudo make install, or sudo ./install.sh'
	[ -d /run/systemd/system ] || fail 'this machine does not run systemd: there is nothing to install into'
	exec 9> /run/fer-edge.lock
	flock -n 9 || fail 'another installation is going on'
	case ${1:-} in
		'') ;;
		--uninstall) uninstall; return ;;
		*) fail "unknown argument $1; allowed: --uninstall" ;;
	esac
	"$PYTHON" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null ||
		fail "$PYTHON has to be Python 3.11 or newer"
	[ -d "$here/wheels" ] || pack
	trap 'undo $?' EXIT
	trap 'exit 1' INT TERM HUP
	build
	switch
	came_up || exit 1
	prune
	say "$(basename "$release") runs; readings: journalctl -fu fer-edge"
}

# From a checkout: make a bundle for this machine, as the checkout's owner.
pack() {
	repo=$(dirname "$here")
	owner=$(stat -c %U "$repo")
	home=$(getent passwd "$owner" | cut -d: -f6)
	as_owner=
	[ "$owner" = root ] || as_owner="runuser -u $owner -- env HOME=$home"
	version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	# shellcheck disable=SC2086  # these are several words
	$as_owner make --no-print-directory -C "$repo" bundle-here FOR_PYTHON="$version" >&2 ||
		fail 'the bundle could not be made; nothing was changed'
	here=$repo/build/bundle-here
}

# The new version, complete, beside the old one.
build() {
	wheel=$(basename "$here"/wheels/fer_edge-*.whl)
	version=${wheel#fer_edge-}
	release=$HOME_DIR/releases/${version%%-*}-$(date -u +%Y%m%d%H%M%S)
	previous=$(readlink "$HOME_DIR/current" || true)
	say "installing $(basename "$release") …"
	mkdir -p "$release" "$SETTINGS"
	cp -R "$here/models" "$here/$UNIT" "$here/install.sh" "$here/README.md" "$release"
	system=
	"$PYTHON" -c 'import sys; from importlib.util import find_spec; sys.exit(not find_spec("picamera2"))' &&
		system=--system-site-packages
	# Frames of the camera on the ribbon need no OpenCV.
	extras=edge,opencv
	[ -z "$system" ] || [ -n "${OPENCV:-}" ] || grep -Eqs "$by_opencv" "$SETTINGS/config.toml" || extras=edge
	"$PYTHON" -m venv --without-pip $system "$release/venv" || fail 'no environment could be made'
	set -- "$here"/wheels/pip-*.whl  # run as it is, not installed
	"$release/venv/bin/python" "$1/pip" --isolated --disable-pip-version-check --quiet install \
		--no-index --find-links "$here/wheels" --only-binary=:all: \
		--constraint "$here/constraints.txt" "fer-edge[$extras]" || fail 'the wheels could not be installed'
	[ -e "$SETTINGS/config.toml" ] || install -m 644 "$here/config.toml" "$SETTINGS/config.toml"
	[ -e "$SETTINGS/mqtt-password" ] || install -m 600 /dev/null "$SETTINGS/mqtt-password"
	[ -e "$SETTINGS/page-token" ] || (
		umask 077
		"$PYTHON" -c 'import secrets; print(secrets.token_urlsafe(12))' > "$SETTINGS/page-token"
	)
	# Reads the settings, and loads every network and classifier that they name.
	"$release/venv/bin/python" -P -m edge settings > /dev/null ||
		fail "this version does not take $SETTINGS/config.toml"
	"$release/venv/bin/python" -P -c 'from edge import Recognizer; Recognizer(model="both")' ||
		fail 'the models cannot be loaded'
	chmod -R a+rX "$release"
	sync --file-system "$release"  # the disk has all of it before the link says so
}

# The new version in place of the old one.
switch() {
	systemctl is-enabled --quiet $UNIT 2> /dev/null && was_enabled=yes
	before=$(show InvocationID)
	switched=yes
	put "$release"
	[ -n "$was_enabled" ] || systemctl --quiet enable $UNIT
}

# Make a version the current one, and start it. Each step is whole or not at all.
put() {
	ln -sfn "releases/$(basename "$1")" "$HOME_DIR/current.new"
	mv -T "$HOME_DIR/current.new" "$HOME_DIR/current"
	install -m 644 "$1/$UNIT" "$UNITS/.$UNIT.new"
	mv "$UNITS/.$UNIT.new" "$UNITS/$UNIT"
	sync --file-system "$UNITS"
	systemctl daemon-reload
	systemctl reset-failed $UNIT 2> /dev/null || true
	systemctl restart --no-block $UNIT
}

# Whether the new version reads frames for three seconds, or would if it had a camera.
came_up() {
	waited=0
	good=0
	while [ $waited -lt "$PATIENCE" ] && [ "$(show NRestarts)" = 0 ]; do
		sleep 1
		waited=$((waited + 1))
		[ "$(show InvocationID)" != "$before" ] || continue
		status=$(show StatusText)
		case $(show ActiveState)/$status in
			active/*)
				good=$((good + 1))
				[ $good -lt 3 ] || return 0
				;;
			activating/camera\ lost*)
				say "it runs, but $status"
				return 0
				;;
			inactive/*) return 0 ;;  # a video, and it has ended
			failed/*) break ;;
		esac
	done
	say "the new version did not come up: $(last_line)"
	return 1
}

show() { systemctl show --property "$1" --value $UNIT; }

last_line() {
	line=$(journalctl --quiet --no-pager --output cat --lines 1 _SYSTEMD_UNIT=$UNIT 2> /dev/null || true)
	echo "${line:-$(show Result)}"
}

# At exit: where the new version did not make it, go back to the old one.
undo() {
	trap - EXIT
	[ "$1" != 0 ] || exit 0
	set +e
	if [ -n "$switched" ] && [ -n "$previous" ]; then
		put "$HOME_DIR/$previous"
		[ -n "$was_enabled" ] || systemctl --quiet disable $UNIT
	elif [ -n "$switched" ]; then
		remove_service
	fi
	rm -rf "$release"
	if [ -n "$previous" ]; then
		say "not upgraded: $(basename "$previous") stays"
	else
		rm -rf "$HOME_DIR"
		say 'not installed'
	fi
	exit 1
}

# Keep the version that runs and the one before it.
prune() {
	for folder in "$HOME_DIR"/releases/*; do
		case ${folder#"$HOME_DIR/"} in
			"releases/$(basename "$release")" | "$previous") ;;
			*) rm -rf "$folder" ;;
		esac
	done
}

remove_service() {
	systemctl --quiet disable --now $UNIT 2> /dev/null || true
	rm -f "$UNITS/$UNIT"
	systemctl daemon-reload
	systemctl reset-failed $UNIT 2> /dev/null || true
}

uninstall() {
	remove_service
	rm -rf "$HOME_DIR"
	rm -f /run/fer-edge.lock
	if [ "${KEEP:-0}" = 1 ]; then
		say "removed; settings are still in $SETTINGS"
	else
		rm -rf "$SETTINGS" "$UNITS/$UNIT.d" "$STATE" "/var/lib/private/${STATE##*/}"
		say 'removed'
	fi
}

main "$@"
