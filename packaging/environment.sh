#!/bin/sh
# Makes the Python environment that the container and the .deb carry, in three steps: so a container
# build repeats only the last one when nothing but the program has changed.
#
#   environment.sh libraries FOLDER   an environment with what the program needs
#   environment.sh exporter FOLDER    torch and onnx in a folder of their own; without torch in the
#                                     environment they are needed once, for the next step
#   environment.sh program FOLDER EXPORTER
#                                     the program, its weights exported for onnxruntime, and the list
#                                     of all parts (share/cvunetd/sbom.cdx.json, CycloneDX)
#
# Variables: RUNTIME (onnxruntime: a small environment without torch; torch: both runtimes)
#            EXTRAS (of setup.cfg, separated by commas), PYTHON (python3)
#            TORCH_INDEX (an index of packages to ask besides pip's own: PyTorch's for a torch without CUDA)
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
SOURCE=$(dirname "$HERE")
RUNTIME=${RUNTIME:-onnxruntime}
EXTRAS=${EXTRAS:-heif,hooks,metrics,web}
PYTHON=${PYTHON:-python3}
TORCH_INDEX=${TORCH_INDEX:-}
#: It lists the parts; it is no part itself.
SBOM=cyclonedx-bom==7.5.0

complain() {
    echo "environment.sh: $*" >&2
    exit 1
}

# pip of this environment, for this environment; versions are those that were tested.
install_into() {
    folder=$1
    shift
    "$folder/bin/python" -m pip --disable-pip-version-check install --quiet --constraint "$SOURCE/constraints.txt" \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$@"
}

make_libraries() {
    set -- "$1"
    for extra in $(echo "$EXTRAS" | tr , ' '); do
        set -- "$@" --extra "$extra"
    done
    folder=$1
    shift
    case $RUNTIME in
        torch) set -- "$@" --extra onnx ;;
        # The extra bench is onnxruntime alone; onnx only writes files.
        onnxruntime) set -- "$@" --extra bench --without torch ;;
        *) complain "RUNTIME is onnxruntime or torch, not $RUNTIME" ;;
    esac
    "$PYTHON" -m venv "$folder"
    "$folder/bin/python" "$HERE/requirements.py" "$SOURCE/setup.cfg" "$@" >"$folder/requirements.txt"
    install_into "$folder" --requirement "$folder/requirements.txt"
}

make_exporter() {
    mkdir -p "$1"
    [ "$RUNTIME" = onnxruntime ] || return 0 # both lie in the environment
    "$PYTHON" -m venv "$1/pip"
    install_into "$1/pip" --target "$1/libraries" torch onnx
    rm -rf "$1/pip"
}

make_program() {
    install_into "$1" --no-deps "$SOURCE"
    # Not from the source: the export lies beside the weights that were installed.
    (cd "$1" && PYTHONPATH="$2/libraries" "$1/bin/python" -m cvunet.export)
    "$1/bin/python" -m pip --disable-pip-version-check uninstall --quiet --yes setuptools pip
    rm -f "$1/requirements.txt"
    list_parts "$1"
}

list_parts() {
    tools=$(mktemp -d)
    "$PYTHON" -m venv "$tools"
    "$tools/bin/python" -m pip --disable-pip-version-check install --quiet "$SBOM"
    "$tools/bin/cyclonedx-py" environment --output-reproducible --output-file "$1/share/cvunetd/sbom.cdx.json" "$1/bin/python"
    rm -rf "$tools"
}

[ $# -ge 2 ] || complain "usage: environment.sh libraries|exporter FOLDER, or program FOLDER EXPORTER"
case $1 in
    libraries) make_libraries "$2" ;;
    exporter) make_exporter "$2" ;;
    program) make_program "$2" "${3:?}" ;;
    *) complain "unknown step $1" ;;
esac
