"""A notebook in JupyterLab as somebody sees and uses it: menus, cells, and what stands on the page."""

import io
import json

from PIL import Image

__all__ = ["NotebookPage"]

WATCH = """
window.seen = [];
new MutationObserver(() => {
    for (const bar of document.querySelectorAll('.jp-OutputArea progress'))
        window.seen.push(bar.parentElement.innerText.trim());
}).observe(document, {childList: true, subtree: true});
"""
"""Remembers every bar that stood on the page, however shortly."""

CONTRASTS = """
() => {
    const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => {
        const part = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const behind = node => {
        for (let at = node; at; at = at.parentElement) {
            const figure = at.classList.contains('svg-container') && at.querySelector('.main-svg');
            for (const each of figure ? [figure, at] : [at]) {
                const colour = parse(getComputedStyle(each).backgroundColor);
                if (colour.length === 3 || colour[3] > 0.5) return colour;
            }
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const area of document.querySelectorAll('.jp-Notebook .jp-OutputArea')) {
        const walker = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const node = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
            const box = node.getBoundingClientRect(), style = getComputedStyle(node);
            if (!text || !box.width || style.visibility === 'hidden' || style.display === 'none') continue;
            if (node.closest('style, script, .modebar, .hoverlayer, .heatmaplayer')) continue;
            const figure = node.closest('.js-plotly-plot') !== null;
            const front = parse(node.closest('svg') ? style.fill : style.color);
            const [high, low] = [light(front), light(behind(node))].sort((a, b) => b - a);
            found.push({text: text.slice(0, 60), figure, ratio: (high + 0.05) / (low + 0.05)});
        }
    }
    return found;
}
"""
"""The WCAG contrast of every piece of text in an output, by the colours that the browser computed."""


class NotebookPage:
    """One notebook in one tab.

    Parameters
    ----------
    page : of the browser.
    """

    def __init__(self, page):
        self.page = page
        page.add_init_script(WATCH)

    def open(self, lab, path):
        """Open a notebook that is there, and wait for its kernel."""
        self.page.goto(f"{lab.url}/lab/tree/{path}?token={lab.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-MarkdownCell")
        self._wait_for_kernel()

    def new(self, lab):
        """Make a notebook from the launcher."""
        self.page.goto(f"{lab.url}/lab?reset&token={lab.token}")
        self.page.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
        self._wait_for_kernel()

    def _wait_for_kernel(self):
        self.page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()

    def menu(self, *words):
        """Take an item of a menu, "Run" and "Run All Cells"."""
        first, *others = words
        self.page.locator(".lm-MenuBar-itemLabel", has_text=first).first.click()
        for word in others:
            self.page.locator(".lm-Menu-itemLabel").get_by_text(word, exact=True).last.click()

    def write(self, text):
        """Write the last cell, run it, and begin another below it."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").last
        cell.locator(".cm-content").click()
        self.page.keyboard.insert_text(text)
        self.page.keyboard.press("Shift+Enter")

    def take_theme(self, name):
        """Take the "Light" or the "Dark" theme from the menu."""
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        self.page.wait_for_selector(f"body[data-jp-theme-light={str(name == 'Light').lower()}]", state="attached")

    def settle(self, within_s):
        """Wait until every cell that was asked for has run."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].every(cell =>
                !cell.querySelector('.cm-content').innerText.trim()
                || /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').innerText))""",
            timeout=1000 * within_s,
        )

    @property
    def bars_seen(self):
        """The text beside each bar of progress that stood on the page."""
        return self.page.evaluate("() => [...new Set(window.seen)]")

    def outputs(self, kind):
        """The texts of all outputs of a MIME type."""
        return self.page.locator(f'.jp-Notebook .jp-OutputArea [data-mime-type="{kind}"]').all_inner_texts()

    @property
    def tables(self):
        """Rows of each table in an output."""
        tables = self.page.locator(".jp-Notebook .jp-OutputArea-output table")
        return [table.locator("tr").count() for table in tables.all()]

    @property
    def contrasts(self):
        """Text, whether it is in a figure, and its contrast."""
        return self.page.evaluate(CONTRASTS)

    @property
    def figures(self):
        """Number of colours in the picture of each figure: one that is blank has a handful."""
        colours = []
        for figure in self.page.locator(".jp-Notebook .js-plotly-plot").all():
            figure.scroll_into_view_if_needed()
            picture = Image.open(io.BytesIO(figure.screenshot()))
            colours.append(len(picture.convert("RGB").getcolors(1 << 24)))
        return colours

    def picture(self, file):
        """The whole notebook from top to bottom."""
        height = self.page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
        size = dict(self.page.viewport_size)
        self.page.set_viewport_size({"width": size["width"], "height": int(height) + 150})
        self.page.evaluate("() => { document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0; }")
        self.page.screenshot(path=file)
        self.page.set_viewport_size(size)


def shortened(notebook, parameters):
    """The text of a notebook with other values in its cell of parameters, and nothing that it was stored with."""
    book = json.loads(notebook.read_text("utf-8"))
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        if "parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    return json.dumps(book)
