"""One small file of each kind that can be brought, each with a fact of its own, and two that cannot be read."""

from __future__ import annotations

import io

import docx
import openpyxl
import pptx
import pypdf


def every_file() -> dict[str, bytes]:
    """File name → content."""
    return {
        "Доставка.docx": word("Доставка", "Доставка містом коштує 5 євро."),
        "Каталог.pdf": pdf("Bouquet of tulips costs 20 euros"),
        "Прайс.xlsx": sheet([("Товар", "Ціна"), ("Троянди", "40 євро"), ("Півонії", "55 євро")]),
        "Навчання.pptx": slides("Навчання флористів", "Курс триває три місяці."),
        "about.html": "<h1>Про нас</h1><p>Майстерня працює від 1998 року.</p>".encode(),
        "rules.md": "# Знижки\n\nПостійним клієнтам знижка 7 відсотків.".encode(),
        "cities.csv": "місто;строк\nЛьвів;2 дні\nОдеса;3 дні\n".encode(),
        "care.txt": "Подрезайте стебли наискосок каждые два дня.".encode(),
        "broken.docx": b"PK\x03\x04 nothing of an archive follows",
        "scan.pdf": blank_pdf(),
    }


def word(heading: str, text: str) -> bytes:
    """A docx."""
    document = docx.Document()
    document.add_heading(heading, 1)
    document.add_paragraph(text)
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def sheet(rows: list[tuple[str, ...]]) -> bytes:
    """An xlsx."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def slides(title: str, text: str) -> bytes:
    """A pptx of one slide."""
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = text
    made = io.BytesIO()
    show.save(made)
    return made.getvalue()


def pdf(text: str) -> bytes:
    """A PDF of one page with one line of Latin letters."""
    stream = f"BT /F1 14 Tf 40 120 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]  # fmt: skip
    made, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return made + b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table, len(made)
    )  # fmt: skip


def blank_pdf() -> bytes:
    """A PDF as a scanner makes it: a page without text."""
    writer = pypdf.PdfWriter()
    writer.add_blank_page(200, 200)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
