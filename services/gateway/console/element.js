/** Elements of the page and of SVG, made in one expression. Text is always text: no markup is ever parsed. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: attributes (`onclick` and other functions are listeners), then children. */
export function html(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** The element of the page with that id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Set a text only if it is another one, so that a screen reader and a selection are left alone. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}
