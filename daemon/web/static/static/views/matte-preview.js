// The adjustments of a matte as the server makes them (cvunet/matte/adjustments.py, pieces.py and
// framing.py), on a smaller picture. Alphas are bytes, row by row.

const TILE_PX = 256;
const STEP_PX = 4;
const SOLID = 128;
const CUT_SHARE = 0.01;

export const NEUTRAL = { low: 0, high: 1, shift: 0, feather: 0, fill_holes: 0, keep: "all" };

// Return the alpha with all adjustments. `scale`: pixels here for each pixel of the photo.
export function adjusted(alpha, width, height, knobs, scale) {
  let made = alpha;
  if (knobs.fill_holes > 0) {
    made = fillHoles(made, width, height, knobs.fill_holes, Math.round(knobs.high * 255));
  }
  if (knobs.keep === "largest") {
    made = keepLargest(made, width, height, Math.floor(knobs.low * 255));
  }
  if (knobs.low > 0 || knobs.high < 1) {
    made = stretched(made, knobs.low, knobs.high);
  }
  if (knobs.shift) {
    made = shifted(made, width, height, knobs.shift * scale);
  }
  if (knobs.feather > 0) {
    made = feathered(made, width, height, knobs.feather * scale);
  }
  return made;
}

function stretched(alpha, low, high) {
  const table = new Uint8ClampedArray(256);
  for (let level = 0; level < 256; level += 1) {
    table[level] = Math.round((255 * (level / 255 - low)) / (high - low));
  }
  return Uint8Array.from(alpha, (level) => table[level]);
}

// Call `change(part, side, high)` for a copy of each tile near an edge, with a margin around it;
// it returns the tile without the margin. Beyond the picture its border is repeated.
function byTiles(alpha, width, height, margin, change) {
  const made = alpha.slice();
  const step = Math.max(TILE_PX, 2 * margin);
  for (let top = 0; top < height; top += step) {
    for (let left = 0; left < width; left += step) {
      const columns = Math.min(step, width - left);
      const rows = Math.min(step, height - top);
      const part = tileOf(alpha, width, height, left - margin, top - margin, columns + 2 * margin, rows + 2 * margin);
      if (part === null) {
        continue;
      }
      const inner = change(part, columns + 2 * margin, rows + 2 * margin);
      for (let row = 0; row < rows; row += 1) {
        const from = (row + margin) * (columns + 2 * margin) + margin;
        made.set(inner.subarray(from, from + columns), (top + row) * width + left);
      }
    }
  }
  return made;
}

function tileOf(alpha, width, height, left, top, columns, rows) {
  const part = new Uint8Array(columns * rows);
  let least = 255;
  let most = 0;
  for (let row = 0; row < rows; row += 1) {
    const from = Math.min(height - 1, Math.max(0, top + row)) * width;
    for (let column = 0; column < columns; column += 1) {
      const level = alpha[from + Math.min(width - 1, Math.max(0, left + column))];
      part[row * columns + column] = level;
      least = Math.min(least, level);
      most = Math.max(most, level);
    }
  }
  return least === most ? null : part;
}

function shifted(alpha, width, height, shift) {
  const isLargest = shift > 0;
  let rest = Math.abs(shift);
  const radii = [];
  while (rest > 1e-6) {
    radii.push(Math.min(STEP_PX, rest));
    rest -= STEP_PX;
  }
  const margin = radii.reduce((sum, radius) => sum + Math.ceil(radius) + 1, 0);
  return byTiles(alpha, width, height, margin, (part, columns, rows) =>
    radii.reduce((tile, radius) => extreme(tile, columns, rows, radius, isLargest), part));
}

// The extreme over a disc around each pixel: of pixels in it, and of places on its rim, where
// values are interpolated.
function extreme(part, columns, rows, radius, isLargest) {
  const made = overDisc(part, columns, rows, Math.floor(radius), isLargest);
  const margin = Math.ceil(radius) + 1;
  const pick = isLargest ? Math.max : Math.min;
  for (const [down, across] of rim(radius)) {
    const [top, left] = [Math.floor(down), Math.floor(across)];
    const [y, x] = [down - top, across - left];
    const weights = [(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x];
    const shift = top * columns + left;
    for (let row = margin; row < rows - margin; row += 1) {
      for (let place = row * columns + margin; place < (row + 1) * columns - margin; place += 1) {
        const from = place + shift;
        const level = weights[0] * part[from] + weights[1] * part[from + 1] + weights[2] * part[from + columns] + weights[3] * part[from + columns + 1];
        made[place] = pick(made[place], Math.round(level));
      }
    }
  }
  return made;
}

// Points (down, across) of a circle: evenly spaced, and where it crosses a line of pixels.
function rim(radius) {
  const count = Math.max(8, 8 * Math.ceil(radius));
  const angles = Array.from({ length: count }, (_, number) => (2 * Math.PI * number) / count);
  for (let line = -Math.floor(radius); line <= Math.floor(radius); line += 1) {
    const angle = Math.acos(line / radius);
    angles.push(angle, -angle, Math.PI / 2 - angle, Math.PI / 2 + angle);
  }
  return angles.map((angle) => [radius * Math.sin(angle), radius * Math.cos(angle)]);
}

function overDisc(part, columns, rows, radius, isLargest) {
  const made = part.slice();
  const pick = isLargest ? Math.max : Math.min;
  for (let down = -radius; down <= radius; down += 1) {
    const reach = Math.floor(Math.sqrt(radius * radius - down * down));
    for (let row = Math.max(0, -down); row < Math.min(rows, rows - down); row += 1) {
      const from = (row + down) * columns;
      const to = row * columns;
      for (let column = 0; column < columns; column += 1) {
        let best = made[to + column];
        const last = Math.min(columns - 1, column + reach);
        for (let other = Math.max(0, column - reach); other <= last; other += 1) {
          best = pick(best, part[from + other]);
        }
        made[to + column] = best;
      }
    }
  }
  return made;
}

function feathered(alpha, width, height, feather) {
  const sigma = Math.max(feather / 2, 0.05);
  const radius = Math.ceil(1.5 * feather);
  const weights = Float32Array.from({ length: 2 * radius + 1 }, (_, place) => Math.exp(-((place - radius) ** 2) / (2 * sigma * sigma)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return byTiles(alpha, width, height, radius, (part, columns, rows) =>
    blurred(part, columns, rows, weights.map((weight) => weight / total), radius));
}

function blurred(part, columns, rows, weights, radius) {
  const across = new Float32Array(part.length);
  for (let row = 0; row < rows; row += 1) {
    for (let column = radius; column < columns - radius; column += 1) {
      let sum = 0;
      for (let place = -radius; place <= radius; place += 1) {
        sum += weights[place + radius] * part[row * columns + column + place];
      }
      across[row * columns + column] = sum;
    }
  }
  const made = part.slice();
  for (let row = radius; row < rows - radius; row += 1) {
    for (let column = radius; column < columns - radius; column += 1) {
      let sum = 0;
      for (let place = -radius; place <= radius; place += 1) {
        sum += weights[place + radius] * across[(row + place) * columns + column];
      }
      made[row * columns + column] = Math.round(sum);
    }
  }
  return made;
}

// --- pieces ------------------------------------------------------------------------------

// Return a label for each pixel of a mask (0: outside), and facts of each label.
function regions(isIn, width, height, isDiagonal) {
  const labels = new Int32Array(width * height);
  const found = [{ area: 0, first: 0, isOnBorder: true }];
  const stack = [];
  for (let start = 0; start < labels.length; start += 1) {
    if (labels[start] || !isIn(start)) {
      continue;
    }
    const label = found.length;
    const facts = { area: 0, first: start, isOnBorder: false };
    labels[start] = label;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop();
      const column = place % width;
      const row = (place - column) / width;
      facts.area += 1;
      facts.isOnBorder ||= column === 0 || row === 0 || column === width - 1 || row === height - 1;
      for (let down = -1; down <= 1; down += 1) {
        for (let over = -1; over <= 1; over += 1) {
          const isNeighbour = isDiagonal ? down || over : (down === 0) !== (over === 0);
          const isInside = column + over >= 0 && column + over < width && row + down >= 0 && row + down < height;
          const other = place + down * width + over;
          if (isNeighbour && isInside && labels[other] === 0 && isIn(other)) {
            labels[other] = label;
            stack.push(other);
          }
        }
      }
    }
    found.push(facts);
  }
  return { labels, found };
}

function fillHoles(alpha, width, height, share, high) {
  const { labels, found } = regions((place) => alpha[place] < high, width, height, false);
  let solid = 0;
  for (const level of alpha) {
    solid += level >= SOLID ? 1 : 0;
  }
  const isFilled = found.map((one, label) => label > 0 && !one.isOnBorder && one.area < share * solid);
  return alpha.map((level, place) => (isFilled[labels[place]] ? 255 : level));
}

function keepLargest(alpha, width, height, low) {
  const { labels, found } = regions((place) => alpha[place] > low, width, height, true);
  const sizes = new Float64Array(found.length);
  labels.forEach((label, place) => { sizes[label] += alpha[place] >= SOLID ? 1 : 1e-9; });
  sizes[0] = -1;
  const largest = sizes.reduce((best, size, label) => (size > sizes[best] ? label : best), 0);
  return alpha.map((level, place) => (labels[place] === largest ? level : 0));
}

// --- crop --------------------------------------------------------------------------------

// Return the rectangle {left, top, width, height} that the result shows; null without a subject.
export function viewBox(alpha, width, height, { margin = 0, aspect = null, align = "center" }) {
  const box = subjectBox(alpha, width, height);
  if (box === null) {
    return null;
  }
  const cut = cutSides(alpha, width, height);
  const before = [cut.left ? 0 : margin, cut.top ? 0 : margin];
  const shown = [1 - before[0] - (cut.right ? 0 : margin), 1 - before[1] - (cut.bottom ? 0 : margin)];
  let wide = box.width / shown[0];
  let high = box.height / shown[1];
  if (aspect) {
    [wide, high] = [Math.max(wide, high * aspect), Math.max(high, wide / aspect)];
  }
  let [across, down] = align === "bottom" ? [0.5, 1] : [0.5, 0.5];
  if (cut.left !== cut.right) {
    across = cut.left ? 0 : 1;
  }
  if (cut.top !== cut.bottom) {
    down = cut.top ? 0 : 1;
  }
  return {
    left: box.left - before[0] * wide - across * (wide * shown[0] - box.width),
    top: box.top - before[1] * high - down * (high * shown[1] - box.height),
    width: wide,
    height: high,
  };
}

function subjectBox(alpha, width, height) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let row = 0, place = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1, place += 1) {
      if (alpha[place] >= 10) {
        left = Math.min(left, column);
        right = Math.max(right, column);
        top = Math.min(top, row);
        bottom = row;
      }
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

function cutSides(alpha, width, height) {
  const share = (count, place) => {
    let solid = 0;
    for (let step = 0; step < count; step += 1) {
      solid += alpha[place(step)] > 127 ? 1 : 0;
    }
    return solid / count > CUT_SHARE;
  };
  return {
    left: share(height, (row) => row * width),
    right: share(height, (row) => row * width + width - 1),
    top: share(width, (column) => column),
    bottom: share(width, (column) => (height - 1) * width + column),
  };
}
