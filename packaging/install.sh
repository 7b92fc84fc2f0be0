#!/usr/bin/env bash
# Installs cvunetd as a systemd service, upgrades it, takes it away again. Touches no picture.
set -euo pipefail
# The program is for users who are not root, whatever root's own umask is. What is closed is closed
# by modes of its own (tmpfiles.d, StateDirectoryMode=).
umask 022

usage() {
    cat <<'TEXT'
usage: install.sh [install|uninstall] [options]        as root, from a checkout

  install     into /opt/cvunetd, with a user, a unit and a configuration; over an older one it
              upgrades in place: configuration and folders stay, a running daemon is restarted,
              and so are the page and a node of Ray if they have units of their own
  uninstall   the program, the unit and what belongs to it; pictures, results, state,
              configuration and the user stay

  --dry-run       print what would be done, and do nothing
  --cpu           also the drop-in for machines without a GPU (tighter sandbox)
  --no-start      neither start nor restart the daemon, the page and a node
  --python FILE   the interpreter, 3.11 or later (python3; an upgrade keeps the one that it has);
                  none below /root or /home, which the daemon cannot see
  --from WHAT     what pip installs: a checkout or a wheel (this checkout)

Pip's own settings hold: PIP_INDEX_URL, PIP_EXTRA_INDEX_URL (for a torch without CUDA), PIP_CONFIG_FILE.
TEXT
}

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SOURCE=$(dirname "$HERE")
HOME_OF_PROGRAM=/opt/cvunetd
CONFIG=/etc/cvunetd/config.yaml
UNIT=/etc/systemd/system/cvunetd.service
DROP_INS=$UNIT.d
# Of the page and of Ray: an administrator copies them there, from the program (docs/systemd.md, docs/cluster.md).
UNITS=/etc/systemd/system
PAGE=cvunetd-web.service
NODES=(cvunetd-ray-head.service cvunetd-ray-node.service)
# Where a file of packaging/ goes.
declare -A FILES=(
    [systemd/cvunetd.service]=$UNIT
    [sysusers.d/cvunetd.conf]=/etc/sysusers.d/cvunetd.conf
    [tmpfiles.d/cvunetd.conf]=/etc/tmpfiles.d/cvunetd.conf
    [sysctl.d/60-cvunetd.conf]=/etc/sysctl.d/60-cvunetd.conf
    [man/cvunetd.8]=/usr/local/share/man/man8/cvunetd.8
    [man/cvunetd.yaml.5]=/usr/local/share/man/man5/cvunetd.yaml.5
    [completions/bash/cvunetd]=/usr/local/share/bash-completion/completions/cvunetd
    [completions/zsh/_cvunetd]=/usr/local/share/zsh/site-functions/_cvunetd
    [completions/fish/cvunetd.fish]=/usr/local/share/fish/vendor_completions.d/cvunetd.fish
)
# So that it can be called by its name.
LINK=/usr/local/bin/cvunetd

command=install
what=
python=python3
is_python_named=
is_dry=
is_cpu=
is_started=yes

complain() {
    echo "install.sh: $*" >&2
    exit 1
}

# Say what is done, and do it unless this is a dry run.
run() {
    echo "+ $*"
    [ -n "$is_dry" ] || "$@"
}

read_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            install | uninstall) command=$1 ;;
            --dry-run) is_dry=yes ;;
            --cpu) is_cpu=yes ;;
            --no-start) is_started= ;;
            --python | --from)
                [ $# -gt 1 ] || complain "$1 needs a value"
                if [ "$1" = --python ]; then python=$2 is_python_named=yes; else what=$2; fi
                shift
                ;;
            -h | --help)
                usage
                exit
                ;;
            *) complain "unknown argument $1 (--help lists them)" ;;
        esac
        shift
    done
    what=${what:-$SOURCE}
}

check() {
    [ -n "$is_dry" ] || [ "$(id -u)" = 0 ] || complain "must run as root (or with --dry-run)"
    command -v systemctl >/dev/null || complain "there is no systemd here"
    check_package
    [ "$command" != install ] || check_program
}

# The package has its program in the same place.
check_package() {
    case $(dpkg-query --show --showformat='${db:Status-Status}' cvunetd 2>/dev/null) in
        '' | not-installed | config-files) ;;
        *) complain "the package cvunetd is installed: apt-get remove cvunetd first" \
            "(pictures, state and configuration stay)" ;;
    esac
}

# A program that is there already, also one made under another umask: pip leaves what is up to date.
check_program() {
    local closed
    # Without its compiled files Python compiles anew.
    closed=$(find "$HOME_OF_PROGRAM" -name __pycache__ -prune -o ! -type l \
        \( ! -perm -o=r -o -type d ! -perm -o=x \) -print -quit 2>/dev/null) || true
    [ -z "$closed" ] || complain "$closed cannot be read by the daemon's user: run" \
        "chmod -R go+rX $HOME_OF_PROGRAM, then start install.sh again"
}

# A link to our program, also where that is not there any more.
is_ours() {
    [ "$(readlink "$1")" = "$HOME_OF_PROGRAM/bin/cvunetd" ]
}

check_python() {
    local file
    file=$(command -v "$python") || complain "$python not found: name another by --python"
    file=$(readlink -f "$file")
    case $file in
        /root/* | /home/* | /run/user/*)
            complain "$file lies where the daemon's sandbox cannot see it: name another by --python" ;;
    esac
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        complain "$python is $("$python" --version 2>&1); Python 3.11 or later is needed"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        complain "$python cannot make virtual environments: on Debian, apt-get install python3-venv"
}

# Also while it loads its model or waits for its next try, when `systemctl is-active` says no.
is_running() {
    case $(systemctl show --property ActiveState --value "$1" 2>/dev/null) in
        inactive | failed | '') return 1 ;;
    esac
}

# What is there before anything is changed.
look_around() {
    is_upgrade=
    was_running=
    has_failed=
    plain_copies=()
    # The drop-in is written after the service was enabled. Without it the first installation broke
    # off, and is done again as one. A service that is disabled or stopped on purpose stays so.
    if [ -e "$UNIT" ] && [ -e "$DROP_INS/paths.conf" ]; then is_upgrade=yes; fi
    if is_running cvunetd.service; then was_running=yes; fi
    if [ "$(systemctl show --property ActiveState --value cvunetd.service 2>/dev/null)" = failed ]; then
        has_failed=yes
    fi
    local unit
    for unit in "$PAGE" "${NODES[@]}"; do
        ! cmp -s "$UNITS/$unit" "$(in_program "$unit")" || plain_copies+=("$unit")
    done
}

# Where the program has a unit that an administrator may copy.
in_program() {
    local folder=$HOME_OF_PROGRAM/share/cvunetd/packaging
    [ "$1" = "$PAGE" ] || folder+=/ray
    echo "$folder/$1"
}

is_copied() {
    [ -e "$UNITS/$1" ] && [ ! -L "$UNITS/$1" ]
}

version_of() {
    "$1" -c 'import sys; print(*sys.version_info[:2], sep=".")'
}

# An upgrade of the system may bring another Python under the same name, which finds no libraries.
is_usable() {
    local own=$HOME_OF_PROGRAM/bin/python
    "$own" -m pip --version >/dev/null 2>&1 &&
        { [ -z "$is_python_named" ] || [ "$(version_of "$own")" = "$(version_of "$python")" ]; }
}

# One that is there already is upgraded.
make_environment() {
    ! is_usable || return 0
    if [ -d "$HOME_OF_PROGRAM/bin" ]; then
        echo "= the environment is made anew for $("$python" --version 2>&1). Extras that you have added" \
            "have to be installed again: $HOME_OF_PROGRAM/bin/pip install 'cvunet-daemon[web]'"
    fi
    run "$python" -m venv --clear "$HOME_OF_PROGRAM"
}

# A checkout becomes a wheel, which is built elsewhere: what an earlier build left in the checkout
# would be installed again, and what root leaves there would be in the way of its owner.
build_wheel() {
    local folder=${what%%\[*} extras
    [ -d "$folder" ] || return 0
    echo "+ build a wheel of $folder"
    [ -z "$is_dry" ] || return 0
    extras=${what#"$folder"}
    built=$(mktemp -d)
    trap 'rm -rf "$built"' EXIT
    printf '[build]\nbuild_base=%s\n[egg_info]\negg_base=%s\n' "$built" "$built" >"$built/setup.cfg"
    DIST_EXTRA_CONFIG=$built/setup.cfg "${pip[@]}" wheel --no-deps --wheel-dir "$built" "$folder"
    what=$(echo "$built"/*.whl)$extras
}

install_program() {
    make_environment
    local pip=("$HOME_OF_PROGRAM/bin/python" -m pip --disable-pip-version-check --quiet)
    build_wheel
    pip+=(install)
    [ ! -f "$SOURCE/constraints.txt" ] || pip+=(--constraint "$SOURCE/constraints.txt")
    run "${pip[@]}" --upgrade --upgrade-strategy only-if-needed "$what"
    # pip leaves a wheel out whose version is there already, whatever is in it.
    [[ $what != *.whl* ]] || run "${pip[@]}" --force-reinstall --no-deps "$what"
    # It has no wheel and needs a compiler and libsystemd-dev. The daemon runs without it, but then
    # cannot say when it is ready.
    if ! run "${pip[@]}" "cvunet-daemon[systemd]"; then
        complain "systemd-python cannot be built: on Debian, apt-get install" \
            "libsystemd-dev pkg-config gcc libc6-dev python3-dev; on Fedora, dnf install gcc" \
            "pkgconf-pkg-config systemd-devel python3-devel; then start install.sh again"
    fi
}

install_files() {
    local name
    for name in "${!FILES[@]}"; do
        run install -D -m 0644 "$HERE/$name" "${FILES[$name]}"
    done
    for name in "$SOURCE"/docs/*.md "$SOURCE"/docs/*.json "$SOURCE"/docs/decisions/*.md; do
        run install -D -m 0644 "$name" "$HOME_OF_PROGRAM/share/doc/cvunetd/${name#"$SOURCE/docs/"}"
    done
    if { [ ! -e "$LINK" ] && [ ! -L "$LINK" ]; } || is_ours "$LINK"; then
        run ln -sfn "$HOME_OF_PROGRAM/bin/cvunetd" "$LINK"
    else
        echo "= $LINK is not ours and stays as it is"
    fi
    [ -z "$is_cpu" ] || run install -D -m 0644 "$HERE/systemd/cpu.conf" "$DROP_INS/cpu.conf"
    run systemd-sysusers "${FILES[sysusers.d/cvunetd.conf]}"
    run systemd-tmpfiles --create "${FILES[tmpfiles.d/cvunetd.conf]}"
    # All files in their order: ours alone would lower what a later one of yours has raised.
    # A container may not be allowed to; the daemon polls where watches run out.
    run "$(command -v systemd-sysctl || echo /lib/systemd/systemd-sysctl)" --prefix=fs.inotify ||
        echo "install.sh: limits of inotify stay as they are" >&2
    renew_copies
}

# A plain copy is renewed. One that was changed by hand (its address, networks that may ask) stays.
renew_copies() {
    local unit
    for unit in "$PAGE" "${NODES[@]}"; do
        is_copied "$unit" || continue
        case " ${plain_copies[*]} " in
            *" $unit "*) run install -m 0644 "$(in_program "$unit")" "$UNITS/$unit" ;;
            *) echo "= $UNITS/$unit was changed and stays as it is; the new one is $(in_program "$unit")" ;;
        esac
    done
}

# The sample with the paths that fit the unit; one that is there already is never touched.
install_configuration() {
    if [ -e "$CONFIG" ]; then
        echo "= $CONFIG stays as it is"
        return
    fi
    local sample
    sample=$(sed -f "$HERE/unit-paths.sed" \
        -e "s|^  weights: models/|  weights: $HOME_OF_PROGRAM/share/cvunetd/models/|" \
        "$SOURCE/config.yaml")
    echo "+ write $CONFIG"
    [ -n "$is_dry" ] || install -D -m 0644 /dev/stdin "$CONFIG" <<<"$sample"
}

# What the sandbox has to let through follows from the configuration.
install_paths() {
    echo "+ cvunetd systemd-paths > $DROP_INS/paths.conf"
    [ -z "$is_dry" ] || return 0
    local paths
    paths=$("$HOME_OF_PROGRAM/bin/cvunetd" systemd-paths --config "$CONFIG")
    install -D -m 0644 /dev/stdin "$DROP_INS/paths.conf" <<<"$paths"
}

# What runs with the program that was replaced; what does not run is left alone.
restart_copy() {
    { [ -n "$is_started" ] && [ -e "$UNITS/$1" ]; } || return 0
    run systemctl try-restart "$1" || not_started+=("$1")
}

start() {
    local is_ready=yes unit
    not_started=()
    run systemctl daemon-reload
    for unit in "${NODES[@]}"; do
        restart_copy "$unit"
    done
    # One that has failed was not stopped on purpose: what made it fail may be mended by now.
    if [ -n "$is_upgrade" ] && [ -z "$was_running" ] && [ -z "$has_failed" ]; then
        echo "= cvunetd did not run, and is not started now"
    elif [ -n "$is_started" ]; then
        # Not reload: other code is another process.
        run systemctl restart cvunetd.service || is_ready=
        [ -n "$is_dry" ] || [ -z "$is_ready" ] ||
            echo "cvunetd is ready: drop pictures into the hot folder of $CONFIG"
    fi
    # After the daemon, which upgrades the ledger.
    restart_copy "$PAGE"
    [ -n "$is_ready" ] || complain "it does not start: journalctl -u cvunetd"
    [ ${#not_started[@]} = 0 ] || complain "${not_started[*]} did not start: journalctl -u UNIT says why"
}

uninstall() {
    local name
    local units=("$PAGE" "${UNIT##*/}" "${NODES[@]}")
    for name in "${units[@]}"; do
        [ ! -e "$UNITS/$name" ] || run systemctl disable --quiet --now "$name"
        run rm -f "$UNITS/$name"
    done
    for name in "${!FILES[@]}"; do
        run rm -f "${FILES[$name]}"
    done
    ! is_ours "$LINK" || run rm -f "$LINK"
    # Drop-ins of yours stay.
    run rm -f "$DROP_INS/paths.conf" "$DROP_INS/cpu.conf"
    [ ! -d "$DROP_INS" ] || run rmdir --ignore-fail-on-non-empty "$DROP_INS"
    run rm -rf "$HOME_OF_PROGRAM"
    run systemctl daemon-reload
    for name in "${units[@]}"; do
        run systemctl reset-failed "$name" 2>/dev/null || true
    done
    echo "What stays: $CONFIG, its folders (/srv/cvunetd), /var/lib/cvunetd and the user cvunetd"
}

read_arguments "$@"
check
if [ "$command" = uninstall ]; then
    uninstall
    exit
fi
check_python
look_around
install_program
install_files
install_configuration
[ -n "$is_upgrade" ] || run systemctl enable --quiet cvunetd.service
install_paths
start
