// Elements by function calls: no strings of HTML, so nothing that users name can become markup.

// Return an element. A property that is a function is a listener ("onclick"), true is an attribute
// without value, and false, null and undefined leave it out.
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    setProperty(element, name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Return a text as nodes; what stands between backticks is a command.
export function marked(text) {
  return text.split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));
}

function setProperty(element, name, value) {
  if (value === false || value === null || value === undefined) {
    return;
  }
  if (typeof value === "function") {
    element.addEventListener(name.replace(/^on/, "").toLowerCase(), value);
  } else if (name === "value" && "value" in element && element.tagName !== "OPTION") {
    element.value = value;
    element.setAttribute("value", value);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}
