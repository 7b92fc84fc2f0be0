// The styles of Cut and Touch up, loaded once and before they are shown.

const HREF = "/static/views/cut.css";

export async function loadStyles() {
  if (document.querySelector(`link[href="${HREF}"]`)) {
    return;
  }
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = HREF;
  await new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    document.head.append(link);
  });
}
