"""Texts from templates, in which one fact is another, and texts in which only the layout is."""

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """A text with slots; for each slot a kind of fact, its usual value and others."""

    name: str
    text: str
    slots: dict[str, tuple[str, tuple[str, ...]]]  # the first value is the usual one

    @property
    def usual(self) -> str:
        return self._filled({})

    def _filled(self, others: dict[str, str]) -> str:
        values = {slot: values[0] for slot, (_, values) in self.slots.items()}
        return self.text.format_map(values | others).strip()

    def variants(self) -> Iterator[tuple[str, str]]:
        """Each text that has one fact other than the usual text, after the kind of the fact."""
        for slot, (kind, values) in self.slots.items():
            for value in values[1:]:
                yield kind, self._filled({slot: value})


TEMPLATES = (
    Template(
        "invoice",
        """
# Invoice {code}

Harbour Supplies Ltd, 14 Quay Street
Date: {date}

To: {name}

| Item | Amount | Price |
|---|---|---|
| Mooring rope | {amount} {unit} | {price} |
| Fender, blue | 4 pieces | 118.00 |
| Shackle, galvanised | 12 pieces | 36.00 |

Please pay within {days} days to the account that is named below. The goods remain ours until the
whole sum is paid. Returns are taken {negation} the seal is unbroken. Our terms of delivery apply to
this order and to all those that follow it, and a copy of them can be seen at the counter or asked
for by letter. Questions about this paper go to the office on the quay, which is open on working
days in the morning.
""",
        {
            "code": ("code", ("AB-1207", "AB-1208", "AC-1207", "B-1207", "AB-12-07", "AB-120")),
            "date": ("date", ("3 May 2024", "4 May 2024", "3 June 2024", "3 May 2023")),
            "name": ("name", ("Anna Moe", "Anne Moe", "Anna Lund", "anna roe")),
            "amount": ("number", ("25", "52", "2.5", "250", "-25", "twenty")),
            "unit": ("unit", ("m", "ft", "kg", "cm")),
            "price": ("number", ("€1,250.00", "€1,520.00", "$1,250.00", "€1.250", "1,250.00")),
            "days": ("number", ("thirty", "fourteen", "30", "ten")),
            "negation": ("negation", ("if", "only if", "unless", "even if not")),
        },
    ),
    Template(
        "contract",
        """
# Berth contract

The ship is the {name}. The yearly rent is {amount} {currency}. The contract begins on {date}.

The tenant pays the rent on the {day} working day of each month to the account of the harbour
office. The tenant {negation} let the berth to others. The tenant keeps the berth clean, lets the
crew of the office come aboard when there is danger, and tells the office at least {number} days
before the ship leaves for more than a week. Power and water are read on the last day of the month
and are paid with the next rent. The fuel of the heater is {word}. Each side may end the contract
with three months notice to the end of a year. Both sides have signed two copies and each has kept
one of them. {more}
""",
        {
            "name": ("name", ("Alder", "Birch", "Cedar", "Elder", "alders")),
            "amount": ("number", ("410", "445", "480", "41", "4100", "410.50")),
            "currency": ("unit", ("euros", "pounds", "crowns", "dollars")),
            "date": ("date", ("1 January 2024", "1 January 2025", "2 January 2024", "1 July 2024")),
            "day": ("number", ("first", "second", "last", "third")),
            "negation": ("negation", ("may", "may not", "must never", "cannot")),
            "number": ("number", ("two", "twelve", "2", "three")),
            "word": ("word", ("diesel", "petrol", "gas", "wood")),
            "more": (
                "sentence",
                (
                    "",
                    "The deposit is waived.",
                    "the office may tow the ship away when the rent is late",
                    "Annex B applies.",
                ),
            ),
        },
    ),
    Template(
        "minutes",
        """
Minutes of the board, {date}

Present: Ida Berg, {name}, Tor Vik. Chair: Ida Berg. The minutes of the meeting before were read
and accepted.

1. The repair of the east quay was discussed at length. The lowest bid is {amount} and comes from
{firm}. The motion was {result} by {votes} votes. The work shall {negation} begin before the ice is
gone, and it must be done when the season opens.

2. The treasurer showed the accounts of the quarter. The sum of all fees was {percent} above the
plan. The board thanked the crew of the pilot boat for its work in the storm.

3. The next meeting is at {time} in the same room. Those who cannot come tell the office in time.
""",
        {
            "date": ("date", ("2024-03-14", "2024-03-15", "2024-04-14", "2023-03-14")),
            "name": ("name", ("Per Dahl", "Per Dale", "Pia Dahl", "Ole Dahl")),
            "amount": ("number", ("18,400", "18,900", "18.400", "81,400")),
            "firm": ("name", ("Nordkai", "Sydkai", "Nordkap", "Vestkai")),
            "result": ("word", ("carried", "rejected", "postponed", "withdrawn")),
            "votes": ("number", ("four to one", "three to two", "five to none", "four to two")),
            "negation": ("negation", ("then", "not", "never", "hardly")),
            "percent": ("unit", ("4 %", "4 ‰", "5 %", "40 %")),
            "time": ("number", ("19:00", "18:00", "19:30", "9:00")),
        },
    ),
    Template(
        "release notes",
        """
# Release notes, version {version}

## Changed

- `{option}` now takes a list of names. Settings that hold one name are read as before, so files
  that were written for the release before this one work without a change.
- The limit of a request is {limit}. Larger ones are refused with the status {status}.
- Answers are {word} by default; set `cache = false` to go back.

## Fixed

- A crash when a folder that is watched was renamed ({code}). It happened on {system} and was seen
  most often with many small files in one folder that is shared by several users.
- The old protocol is {negation} supported. Clients that speak it get a message that says so.
""",
        {
            "version": ("version", ("2.4.1", "2.4.2", "2.5.1", "3.4.1", "2.4.1rc1")),
            "option": ("name", ("read_paths", "write_paths", "read_path", "load_paths")),
            "limit": ("unit", ("8 MB", "8 kB", "8 GB", "16 MB")),
            "status": ("code", ("413", "431", "403", "400")),
            "word": ("word", ("cached", "streamed", "compressed", "uncached")),
            "code": ("code", ("#1182", "#1183", "#1282", "#118")),
            "system": ("name", ("Linux", "macOS", "Windows", "linux and macOS")),
            "negation": ("negation", ("still", "not", "no longer", "never")),
        },
    ),
    Template(
        "timetable",
        """
# Timetable of the {route}, {season}

| Port | Monday to Friday | Saturday |
|---|---|---|
| Norrsund | {first} | 08:30 |
| {port} | 07:55 | 09:25 |
| Torsker | 08:40 | {last} |

The ferry {negation} on {day}. Passengers come to the quay ten minutes before the departure, those
with a car twenty minutes before it. In strong wind the master may leave out a port; the office then
says so on its board and on the radio. A bicycle costs {price} and a dog travels for nothing if it
stays on the deck. In winter the ferry waits for the bus from the town for at most {wait}.
""",
        {
            "route": ("name", ("Utgrund Express", "Utsund Express", "Lissmar Express")),
            "season": ("date", ("summer 2024", "winter 2024", "summer 2023", "summer 2024-25")),
            "first": ("number", ("07:10", "07:01", "17:10", "7:15")),
            "port": ("name", ("Gull Rock", "Seal Rock", "Gull Bay", "gull island")),
            "last": ("number", ("10:10", "—", "11:10", "10:10 [a]")),
            "negation": ("negation", ("sails", "does not sail", "never sails", "no longer sails")),
            "day": ("date", ("Sundays", "Mondays", "holidays", "sundays in May")),
            "price": ("number", ("4.50 euros", "4.80 euros", "450 euros", "5 euros")),
            "wait": ("number", ("five minutes", "ten minutes", "fifteen minutes", "an hour")),
        },
    ),
    Template(
        "Preisliste",
        """
# Preisliste der Werft, gültig ab {datum}

- Kranen eines Bootes bis {laenge}: {preis}
- Winterlager in der Halle, je Monat: 95,00 €
- Unterwasserschiff reinigen: {reinigen}
- Motor winterfest machen, Typ {typ}: 140,00 €

Die Preise gelten für Boote mit {antrieb}. Der Strom ist im Preis {negation} enthalten. Wer sein
Boot selbst bewegt, meldet sich vorher im Büro bei {name}. Die Werft haftet für Schäden, die beim
Kranen entstehen, und jeder Eigner hat sein Boot ausreichend zu versichern. Zahlbar ist die Summe
innerhalb von {tage} Tagen ohne Abzug.
""",
        {
            "datum": ("date", ("1. März 2024", "1. April 2024", "1. März 2025", "2. März 2024")),
            "laenge": ("unit", ("10 m", "10 ft", "12 m", "1,0 m")),
            "preis": ("number", ("250,00 €", "270,00 €", "250,00 CHF", "25,00 €")),
            "reinigen": ("number", ("8,50 € je m²", "8,50 € je m", "9,50 € je m²", "85 € je m²")),
            "typ": ("code", ("D2-40", "D2-55", "D240", "E2-40")),
            "antrieb": ("word", ("Segel", "Motor", "Außenborder", "Elektromotor")),
            "negation": ("negation", ("stets", "nicht", "nie", "teilweise")),
            "name": ("name", ("Frau Heise", "Frau Heisen", "Herrn Heise", "Frau Weise")),
            "tage": ("number", ("dreizehn", "dreißig", "14", "zehn")),
        },
    ),
    Template(
        "acta",
        """
# Acta de la asamblea del {fecha}

Asisten {numero} socios. Preside {nombre}. Se lee y se aprueba el acta de la reunión anterior.

Se acuerda que la cuota del {mes} sea de {cuota}. El muelle del este {negation} se abre a los
barcos de fuera. La obra empieza cuando termine la temporada y la paga la caja común, como se dijo
en la reunión de primavera. Los socios que no puedan venir avisan antes a la oficina. El combustible
que se vende en el puerto será {palabra}. La próxima reunión es en la misma sala y a la misma hora.
""",
        {
            "fecha": ("date", ("5 de mayo de 2024", "5 de marzo de 2024", "6 de mayo de 2024")),
            "numero": ("number", ("sesenta", "setenta", "60", "seis")),
            "nombre": ("name", ("Lucía Prado", "Lucio Prado", "Lucía Pardo", "lucia prados")),
            "mes": ("date", ("junio", "julio", "enero", "primer mes")),
            "cuota": ("number", ("30 euros", "13 euros", "30 dólares", "treinta y un euros")),
            "negation": ("negation", ("ya", "no", "nunca", "tampoco")),
            "palabra": ("word", ("gasóleo", "gasolina", "biogás", "queroseno")),
        },
    ),
    Template(
        "契約",
        """
# 係船契約

船名は{name}です。年間の料金は{amount}です。契約は{date}に始まります。

借主は毎月の最初の営業日に料金を港の事務所に支払います。借主は桟橋を清潔に保ち、危険があるときは
事務所の職員を船に乗せます。一週間より長く港を離れるときは、少なくとも{days}前に事務所に知らせます。
電気と水道は月の終わりに確認し、次の料金と一緒に支払います。桟橋を他人に貸すことは{negation}。
双方は契約書に署名し、それぞれ一部を保管します。
""",
        {
            "name": ("name", ("若葉丸", "青葉丸", "若草丸", "双葉丸")),
            "amount": ("number", ("三万円", "四万円", "三千円", "30000円")),
            "date": ("date", ("四月一日", "五月一日", "四月二日", "2024年4月1日")),
            "days": ("number", ("二日", "三日", "十日", "一週間")),
            "negation": ("negation", ("できます", "できません", "禁じられています")),
        },
    ),
    Template(
        "договор",
        """
# Договор найма причала

Судно называется {name}. Плата за год составляет {amount} {currency}. Договор начинается {date}.

Арендатор платит в первый рабочий день каждого месяца на счёт конторы порта. Арендатор {negation}
сдавать место другим. Арендатор держит место в чистоте, пускает людей конторы на борт при опасности
и сообщает конторе за {days} дня, если судно уходит больше чем на неделю. Вода и свет оплачиваются
вместе, когда платят за следующий месяц. Каждая сторона хранит одну подписанную копию.
""",
        {
            "name": ("name", ("Ольха", "Берёза", "Осина", "ольшаник")),
            "amount": ("number", ("410", "440", "41", "четыреста")),
            "currency": ("unit", ("евро", "рублей", "крон", "долларов")),
            "date": ("date", ("1 января 2024", "1 марта 2024", "2 января 2024", "в январе 2024")),
            "negation": ("negation", ("может", "не может", "никогда не может", "вправе")),
            "days": ("number", ("два", "три", "четыре", "2")),
        },
    ),
)


def _furnished(text: str) -> str:
    """With a head and a page number after each two paragraphs, as a print has them."""
    paragraphs = text.split("\n\n")
    pages = ["\n\n".join(paragraphs[at : at + 2]) for at in range(0, len(paragraphs), 2)]
    return "\n".join(
        f"Harbour Office\n\n{page}\n\nPage {n} of {len(pages)}" for n, page in enumerate(pages, 1)
    )


def _titled(text: str) -> str:
    """With the title at the head of each page."""
    title, _, rest = text.partition("\n\n")
    title = title.lstrip("# ")
    paragraphs = rest.split("\n\n")
    return "\n\n".join(
        f"{title} | {n}/{len(paragraphs)}\n\n{p}" for n, p in enumerate(paragraphs, 1)
    )


def _numbered(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip()]
    return "\n".join(f"{n:3} {line}" for n, line in enumerate(lines, start=1))


def _wrapped(text: str, width: int) -> str:
    paragraphs = text.split("\n\n")
    return "\n\n".join(p if "|" in p else textwrap.fill(p, width) for p in paragraphs)


def _hyphenated(text: str) -> str:
    """With each tenth long word cut at the end of a line."""
    count = iter(range(10**6))
    return re.sub(
        r"(?<![^\W\d_])([^\W\d_]{4})([^\W\d_]{4,})",
        lambda m: f"{m[1]}-\n{m[2]}" if next(count) % 10 == 0 else m[0],
        text,
    )


def _plain(text: str) -> str:
    """Without Markdown's marks, as HTML or a PDF would give it."""
    lines = [line for line in text.split("\n") if not re.fullmatch(r"[|\s-]+", line) or not line]
    return "\n".join(re.sub(r"^#+ |`|^- ", "", line) for line in lines)


LAYOUTS: dict[str, Callable[[str], str]] = {
    "spaces": lambda text: re.sub(" ", "  ", text),
    "tabs": lambda text: text.replace(" ", "\t"),
    "narrow": lambda text: _wrapped(text, 40),
    "wide": lambda text: _wrapped(text, 200),
    "one line a paragraph": lambda text: _wrapped(text, 10**6),
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "upper case": str.upper,
    "title case": lambda text: re.sub(r"\b[a-z](?=[a-z]+\b)", lambda m: m[0].upper(), text),
    "semicolons": lambda text: re.sub(r"\.(?=\s|$)", ";", text),
    "no full stops": lambda text: re.sub(r"[.;](?=\s|$)", "", text),
    "quotes": lambda text: re.sub(r"(?<![\w.-])([^\W\d_]{6,})", "\u201c\\1\u201d", text),
    "dashes": lambda text: re.sub(r"(?<=\w)-(?=\w)", "\u2011", text),
    "hyphens": _hyphenated,
    "no markup": _plain,
    "bold": lambda text: re.sub(r"(?<![\w-])([^\W\d_]{7,})", r"**\1**", text),
    "page number": lambda text: f"{text}\n\nPage 1 of 1",
    "Seitenzahl": lambda text: f"{text}\n\n- Seite 3 -",
    "page numbers": lambda text: re.sub(r"\n\n", "\n\n- 3 -\n\n", text, count=1),
    "heads and page numbers": _furnished,
    "the title on each page": _titled,
    "print stamp": lambda text: f"{text}\n\nPrinted on 30.11.2026 at 10:22",
    "other print stamp": lambda text: f"Gedruckt am 2026-11-30, 10:22 Uhr\n\n{text}",
    "address of a print": lambda text: f"{text}\n\nhttps://harbour.example/doc?id=3 1/3",
    "line numbers": _numbered,
    "copyright": lambda text: f"{text}\n\n© 2026 Harbour Office. All rights reserved.",
    "cookies": lambda text: f"We use cookies to make this site better.\n\n{text}\n\nBack to top",
}
