"""Opens pages in headless Chromium and checks what a reader needs of them.

pages.py CHROMIUM SCREENSHOTS PAGE... prints one line for each page, width and scheme, and ends with
code 1 if something is wrong. `scripts/pages` calls it.
"""

import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

from playwright.sync_api import sync_playwright

WIDTHS = [400, 1400]
SCHEMES = ["light", "dark"]
CONTRAST_MIN = 4.5
# Letters smaller than this are not legible.
LETTERS_MIN_PX = 10
# How often Tab is pressed at most.
TABS_MAX = 400

# Everything that is checked without a key press. Returns a list of problems.
CHECKS = """
([contrastMin, lettersMin]) => {
  const problems = [];
  const say = (words) => { if (problems.length < 20) problems.push(words); };
  const root = document.documentElement;
  if (!root.lang) say("no language");
  if (!document.title.trim()) say("no title");
  if (document.querySelectorAll("main").length !== 1) say("not one main landmark");
  if (root.scrollWidth > root.clientWidth)
    say(`the page scrolls sideways: ${root.scrollWidth} of ${root.clientWidth} pixels`);

  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say(`heading ${own} after ${level}: ${heading.textContent}`);
    level = own;
  }
  if (document.querySelectorAll("h1").length !== 1) say("not one h1");

  const ids = new Set();
  for (const element of document.querySelectorAll("[id]")) {
    if (ids.has(element.id)) say(`two elements are called ${element.id}`);
    ids.add(element.id);
  }
  for (const link of document.querySelectorAll("a[href^='#']"))
    if (!ids.has(decodeURIComponent(link.hash.slice(1)))) say(`a link to nothing: ${link.hash}`);

  for (const figure of document.querySelectorAll("figure")) {
    const svg = figure.querySelector("svg");
    const box = svg && svg.getBoundingClientRect();
    if (!box || box.width < 100 || box.height < 50) say(`figure ${figure.id} is not drawn`);
    else if (svg.getAttribute("role") !== "img" || !svg.getAttribute("aria-label"))
      say(`figure ${figure.id} has no name`);
    else {
      if (svg.querySelectorAll("text").length < 3) say(`figure ${figure.id} has no words`);
      const scale = box.width / svg.viewBox.baseVal.width;
      for (const text of svg.querySelectorAll("text")) {
        const size = parseFloat(text.getAttribute("font-size")) * scale;
        if (size < lettersMin) {
          say(`letters of ${size.toFixed(1)} pixels in ${figure.id}`);
          break;
        }
      }
    }
    if (!figure.querySelector("figcaption")) say(`figure ${figure.id} has no caption`);
  }
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.querySelectorAll("thead th")];
    if (!heads.length || heads.some((head) => head.scope !== "col")) say("a table without header cells");
    for (const row of table.querySelectorAll("tbody tr"))
      if (row.children.length !== heads.length) { say("a row with other cells than its header"); break; }
    if (!table.querySelector("tbody th[scope=row]")) say("a table whose rows have no header");
    if (!table.closest("[aria-label]")) say("a table without a name");
  }

  // Contrast as WCAG 2.2 defines it, of every text against the first opaque ground behind it.
  const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
  const luminance = (parts) => {
    const linear = parts.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const contrast = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const parts = numbers(getComputedStyle(at).backgroundColor);
      if (parts.length < 4 || parts[3] === 1) return parts;
    }
    return [255, 255, 255];
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest("style")) continue;
    const svg = element.closest("svg");
    const color = svg ? getComputedStyle(element).fill : getComputedStyle(element).color;
    const back = svg
      ? numbers(getComputedStyle(svg.querySelector("rect")).fill)
      : ground(element);
    const ratio = contrast(numbers(color), back);
    const name = `${color} on ${back}`;
    if (ratio < contrastMin && !seen.has(name)) {
      seen.add(name);
      say(`contrast ${ratio.toFixed(2)}, ${name}: ${walker.currentNode.textContent.trim().slice(0, 40)}`);
    }
  }
  return problems;
}
"""

# What has the focus: its place in the page, and whether a reader sees that it has it.
FOCUSED = """
() => {
  const all = [...document.querySelectorAll("*")];
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return { place: all.indexOf(element), seen, name: element.tagName + " " + element.textContent.trim().slice(0, 30) };
}
"""

# How many elements Tab should reach: those that are shown and can have the focus.
FOCUSABLE = """
() => [...document.querySelectorAll("a[href], summary, [tabindex='0']")]
  .filter((element) => element.checkVisibility()).length
"""


def focus_problems(page):
    """Presses Tab through the page."""
    problems = []
    expected = page.evaluate(FOCUSABLE)
    last = -1
    reached = 0
    for _ in range(min(expected, TABS_MAX)):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        reached += 1
        if focused["place"] < last:
            problems.append(f"the focus jumps back to {focused['name']}")
        if not focused["seen"]:
            problems.append(f"the focus cannot be seen on {focused['name']}")
        last = focused["place"]
    if reached < min(expected, TABS_MAX):
        problems.append(f"Tab reaches {reached} of {expected} elements")
    return problems[:5]


def look(browser, path, width, scheme, screenshots):
    """Opens a page once, saves a screenshot, and returns what is wrong."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    problems = []
    page.on("console", lambda it: problems.append(f"console: {it.text}") if it.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on("requestfailed", lambda request: problems.append(f"not loaded: {request.url}"))
    page.goto(path.as_uri())
    name = f"{path.parent.name}.{path.stem}.{width}.{scheme}"
    page.screenshot(path=screenshots / f"{name}.png", full_page=True)
    problems += focus_problems(page)
    # What is folded up must be right, too.
    page.evaluate("() => document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    problems += page.evaluate(CHECKS, [CONTRAST_MIN, LETTERS_MIN_PX])
    for link in page.evaluate("() => [...document.querySelectorAll('a[href]')].map((it) => it.href)"):
        target = urlparse(link)
        if target.scheme == "file" and not Path(unquote(target.path)).is_file():
            problems.append(f"a link to a missing file: {target.path}")
    context.close()
    return problems


def main():
    chromium, screenshots, *pages = sys.argv[1:]
    screenshots = Path(screenshots)
    screenshots.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path in map(Path, pages):
            for width in WIDTHS:
                for scheme in SCHEMES:
                    problems = look(browser, path.resolve(), width, scheme, screenshots)
                    wrong += len(problems)
                    print(f"{path}, {width} pixels, {scheme}: {len(problems)} problems")
                    for problem in problems:
                        print(f"  {problem}")
        browser.close()
    print(f"screenshots in {screenshots}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
