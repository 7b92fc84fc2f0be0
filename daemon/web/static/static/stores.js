// What a browser keeps for this page. Where a person forbids site data, it is kept until a reload.

function storeOf(name) {
  try {
    return window[name] ?? newMemory();
  } catch {
    return newMemory();
  }
}

// As much of a store as this page uses.
function newMemory() {
  const kept = new Map();
  return {
    isMemory: true,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => { kept.set(key, text); },
    removeItem: (key) => { kept.delete(key); },
  };
}

export const local = storeOf("localStorage");
export const session = storeOf("sessionStorage");
