// Files from a drop or a chooser, with their paths; folders are walked through.

// Yield the entries of a folder; null if one of its pages cannot be read.
async function* entriesOf(reader) {
  for (;;) {
    // A reader gives at most 100 entries at once.
    const some = await orNull((resolve, reject) => reader.readEntries(resolve, reject));
    yield* some ?? [null];
    if (!some?.length) {
      return;
    }
  }
}

async function orNull(ask) {
  try {
    return await new Promise(ask);
  } catch {
    return null;
  }
}

// Yield the files of an entry and below it; null for each entry that cannot be read.
async function* filesOf(entry, above) {
  const path = above ? `${above}/${entry.name}` : entry.name;
  if (entry.isFile) {
    const file = await orNull((resolve, reject) => entry.file(resolve, reject));
    yield file && { path, file };
  } else if (entry.isDirectory) {
    for await (const inner of entriesOf(entry.createReader())) {
      if (inner) {
        yield* filesOf(inner, path);
      } else {
        yield null;
      }
    }
  }
}

// Return [{path, file}] of a drop. What cannot be read is left out and counted.
export async function droppedFiles(transfer) {
  // Entries have to be taken before the first pause: afterwards the transfer is empty.
  const items = [...transfer.items].filter((one) => one.kind === "file");
  const entries = items.map((one) => one.webkitGetAsEntry?.() ?? null);
  const plain = [...transfer.files];
  const found = [];
  let unreadable = 0;
  if (!entries.some(Boolean)) {
    return { found: plain.map((file) => ({ path: file.name, file })), unreadable };
  }
  for (const entry of entries) {
    if (!entry) {
      continue;
    }
    for await (const one of filesOf(entry, "")) {
      if (one) {
        found.push(one);
      } else {
        unreadable += 1;
      }
    }
  }
  return { found, unreadable };
}

export function chosenFiles(list) {
  return [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

// Whether a file is still there, as it was when it was chosen.
export async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
