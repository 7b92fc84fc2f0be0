#!/usr/bin/env bash
# Trains on one GPU within some minutes: docs/training.md, "Ten minutes on a GPU".
#   gpu.sh --cut DATA FOLDER [--also FILE]...   here: cut the shards into FOLDER/1, FOLDER/2 ...
#   gpu.sh --stage FOLDER/1                     there: keep one piece, tell what is missing
#   gpu.sh --train [OPTION]...                  there: train on what was staged
#   gpu.sh --dry-run DATA [OPTION]...           anywhere: two minutes on the CPU with small pictures
# Shards wait in $STAGE (/var/tmp/cvunet-shards). Results go to $OUT (runs/minutes).
# $PYTHON (python3) needs torch, numpy, OpenCV, Pillow, PyYAML and tqdm; of these, what is missing
# there is taken from wheels in $WHEELS, if that is set. Nothing needs a network.
set -euo pipefail
cd "$(dirname "$0")/../../.."

stage=${STAGE:-/var/tmp/cvunet-shards}
out=${OUT:-runs/minutes}
python=${PYTHON:-python3}
packages=$PWD/runs/gpu-packages
export PYTHONPATH="$PWD:$packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# Ends with a list if a package is missing that no wheel gives.
need_packages() {
    local missing=()
    for pair in torch:torch numpy:numpy cv2:opencv-python-headless PIL:pillow yaml:pyyaml tqdm:tqdm; do
        "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('${pair%%:*}') is None)" ||
            missing+=("${pair##*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ -z "${WHEELS:-}" ]; then
        echo "gpu: $python lacks ${missing[*]}: bring wheels and set WHEELS" >&2
        exit 1
    fi
    "$python" -m pip install --quiet --no-deps --no-index --find-links "$WHEELS" \
        --target "$packages" "${missing[@]}"
}

train() {
    local data=$1
    shift
    need_packages
    "$python" -m cvunet.training.gpu.staging check "$data" || [[ " $* " == *" --anyway "* ]] || exit 1
    mkdir -p "$out"
    local watcher=""
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=timestamp,utilization.gpu,memory.used,power.draw --format=csv \
            --loop=5 >"$out/nvidia-smi.csv" &
        watcher=$!
    fi
    local status=0
    "$python" -m cvunet.training.gpu --data "$data" --out "$out" "$@" \
        > >(tee "$out/run.txt") 2>&1 &
    local run=$!
    trap 'kill -TERM "$run" 2>/dev/null || true' TERM INT
    wait "$run" || status=$?
    # A signal ends the wait, not the run, which writes its files first.
    while kill -0 "$run" 2>/dev/null; do wait "$run" && status=0 || status=$?; done
    # Stopped by a signal before Python could listen: there was nothing to save.
    [ "$status" -ne 143 ] || status=0
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    echo "gpu: results are in $out; exit status $status"
    return "$status"
}

case "${1:-}" in
--cut)
    shift
    "$python" -m cvunet.training.gpu.staging cut "$@"
    ;;
--stage)
    [ $# -eq 2 ] || usage
    "$python" -m cvunet.training.gpu.staging join "$2" "$stage"
    ;;
--train)
    shift
    train "$stage" "$@"
    ;;
--dry-run)
    [ $# -ge 2 ] || usage
    data=$2
    shift 2
    train "$data" --device cpu --minutes 2 --batch 4 --size 128 --letterings 8 "$@"
    ;;
*) usage ;;
esac
