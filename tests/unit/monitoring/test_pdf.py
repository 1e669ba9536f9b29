"""A page in print."""

from sapphire.monitoring.telling.pages import document
from sapphire.monitoring.telling.pdf import chromium, write_pdf
from sapphire.monitoring.telling.sections import Section


def test_a_table_that_scrolls_on_the_page_is_whole_in_print(tmp_path):
    section = Section("every fill", ("number",), [(str(number),) for number in range(300)], {})
    page, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(document("fills", section._repr_mimebundle_()["text/html"]))
    write_pdf(page, printed, program=chromium())
    assert printed.read_bytes().count(b"/Type /Page\n") >= 4
