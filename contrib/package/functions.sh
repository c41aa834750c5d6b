# What the scripts of both packages share; `cargo xtask package` puts it into each of them.

units="tessera-worker.service tessera-launch.service tessera-supervisor.service"
accounts="tessera tessera-job tessera-shepherd tessera-supervisor"
state=/var/lib/tessera

# Says whether systemd runs this system: in a chroot or a container there is nothing to stop or to start.
is_booted() {
    [ -d /run/systemd/system ]
}

# Prints those of our units that start the programs of this package, wherever their files lie; what an administrator
# starts from elsewhere is none of ours. Arguments go to systemctl.
units_of_package() {
    for unit in $units; do
        case $(timeout 30 systemctl "$@" show --property=ExecStart --value "$unit" 2>/dev/null </dev/null) in
            *path=/usr/bin/tessera*) echo "$unit" ;;
        esac
    done
}

# Prints the option that names each person's service manager which starts a desktop worker of this package.
managers() {
    systemctl list-units --plain --no-legend 'user@*.service' 2>/dev/null | while read -r unit _; do
        uid=${unit#user@}
        manager="--machine=${uid%.service}@.host"
        [ -z "$(units_of_package --user "$manager")" ] || echo "$manager"
    done
}

# Restarts what runs of an older version; what it renders goes on and is taken over.
restart_daemons() {
    is_booted || return 0
    systemctl daemon-reload || true
    ours=$(units_of_package)
    [ -z "$ours" ] || restart $ours || echo "tessera: not everything could be restarted; see: systemctl status $ours" >&2
    for manager in $(managers); do
        timeout 60 systemctl --user "$manager" try-restart tessera-worker.service </dev/null ||
            echo "tessera: a desktop worker is still the old one until its person's next login ($manager)" >&2
    done
}

# Says which units, written by `tessera worker install` with other paths, hide the package's.
tell_hidden() {
    for unit in $units; do
        if [ -f "/etc/systemd/system/$unit" ] && [ "$(cat "/etc/systemd/system/$unit")" != "$(cat "/usr/lib/systemd/system/$unit")" ]; then
            echo "tessera: /etc/systemd/system/$unit is used, not the package's; /usr/bin/tessera worker install (or supervisor install) changes that"
        fi
    done
}

# Stops the daemons and has them started no more. Jobs go on.
stop_daemons() {
    ours=$units
    if is_booted; then
        ours=$(units_of_package)
        [ -z "$ours" ] || systemctl stop $ours || true
        for manager in $(managers); do
            timeout 60 systemctl --user "$manager" stop tessera-worker.service </dev/null || true
        done
    fi
    if [ -n "$ours" ] && command -v systemctl >/dev/null 2>&1; then
        systemctl --quiet disable $ours >/dev/null 2>&1 || true
    fi
}

# Prints the processes that run the programs of this package, or are of its accounts.
processes() {
    uids=$(for account in $accounts; do getent passwd "$account" | cut -d: -f3; done)
    for process in /proc/[0-9]*; do
        # What has ended and was not waited for has none.
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        case $program in
            /usr/bin/tessera | /usr/bin/tessera-launch | "/usr/bin/tessera (deleted)" | "/usr/bin/tessera-launch (deleted)")
                echo "${process#/proc/}"
                continue
                ;;
        esac
        uid=$(sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "$process/status" 2>/dev/null) || continue
        for ours in $uids; do
            [ "$uid" != "$ours" ] || echo "${process#/proc/}"
        done
    done
}

# Says that jobs outlive the package.
tell_left() {
    left=$(processes | tr '\n' ' ')
    [ -z "$left" ] || echo "tessera: jobs go on without their daemons (processes ${left% }); the farm hears of their end when tessera is installed and started again"
}
