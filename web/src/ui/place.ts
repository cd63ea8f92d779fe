// Puts something that floats beside what it belongs to, inside the window.

const GAP_PX = 4;
const MARGIN_PX = 8;

/** @param floating in the top layer, with position: fixed */
export function place(floating: HTMLElement, anchor: Element, side: "below" | "right" | "above"): void {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = floating;
  const mostLeft = innerWidth - width - MARGIN_PX;
  const mostTop = innerHeight - height - MARGIN_PX;
  let left = at.left + width > innerWidth - MARGIN_PX ? at.right - width : at.left;
  let top = at.bottom + GAP_PX;
  if (side === "right") {
    left = at.right + GAP_PX;
    top = at.top + (at.height - height) / 2;
  } else if (side === "above" || top > mostTop) {
    top = at.top - GAP_PX - height;
    if (side === "above") left = at.left + (at.width - width) / 2;
  }
  if (top < MARGIN_PX) top = Math.min(at.bottom + GAP_PX, mostTop);
  floating.style.left = `${Math.max(MARGIN_PX, Math.min(left, mostLeft))}px`;
  floating.style.top = `${Math.max(MARGIN_PX, Math.min(top, mostTop))}px`;
}
