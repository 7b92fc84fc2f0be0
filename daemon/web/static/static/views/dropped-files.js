// Files from a drop or a chooser, with their paths; folders are walked through.

async function entriesOf(reader) {
  const found = [];
  for (;;) {
    // A reader gives at most 100 entries at once.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) {
      return found;
    }
    found.push(...some);
  }
}

async function* filesOf(entry, above) {
  const path = above ? `${above}/${entry.name}` : entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    yield { path, file };
  } else if (entry.isDirectory) {
    for (const inner of await entriesOf(entry.createReader())) {
      yield* filesOf(inner, path);
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
    try {
      for await (const one of filesOf(entry, "")) {
        found.push(one);
      }
    } catch {
      unreadable += 1;
    }
  }
  return { found, unreadable };
}

export function chosenFiles(list) {
  return [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}
