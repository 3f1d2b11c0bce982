"""Draw the PDF documents of the sample corpus.

Run it from anywhere; it writes below the ``corpus`` folder next to this file, or below the folder
given as the only argument::

    python data/sample/make_pdfs.py [FOLDER]

The result is reproducible byte for byte: the creation date and the producer are fixed, streams are
not compressed and only the core fonts of PDF are used, so no font file is needed. One file, the
"scan" in the archive, is deliberately damaged.

Texts are written in a small notation: ``# `` and ``## `` begin headings, ``- `` an item of a list,
``| a | b |`` a table row (the first row is the head), anything else is a paragraph that ends at an
empty line.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF, FontFace, XPos, YPos

CREATED = datetime(2025, 1, 31, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Document:
    """One PDF: where it goes, what stands in its running header, and its text."""

    path: str
    title: str
    running: str
    text: str


class Page(FPDF):
    """A4 pages with a running header and a numbered footer."""

    def __init__(self, document: Document) -> None:
        """Set up the page for one document."""
        super().__init__(format="A4")
        self.document = document
        self.set_compression(False)
        self.set_creation_date(CREATED)
        self.set_producer("Norrsund Line document service")
        self.set_title(document.title)
        self.set_author("Norrsund Line")
        self.set_margins(22, 22, 22)
        self.set_auto_page_break(True, margin=24)
        self.alias_nb_pages()

    def header(self) -> None:
        """Draw the running header."""
        self.set_font("Helvetica", "I", 8)
        self.set_y(10)
        self.cell(0, 5, self.document.running, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.line(22, 16, 188, 16)
        self.set_y(22)

    def footer(self) -> None:
        """Draw the page number."""
        self.set_y(-15)
        self.set_font("Helvetica", "", 8)
        self.cell(0, 5, f"Norrsund Line - Page {self.page_no()} of {{nb}}", align="C")


def _heading(pdf: Page, text: str, size: int) -> None:
    pdf.ln(3)
    if pdf.will_page_break(30):
        pdf.add_page()
    pdf.set_font("Helvetica", "B", size)
    pdf.multi_cell(0, size * 0.55, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(1.5)


def _paragraph(pdf: Page, text: str, indent: float = 0.0) -> None:
    pdf.set_font("Times", "", 11)
    pdf.set_x(pdf.l_margin + indent)
    pdf.multi_cell(0, 5.2, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(1.0 if indent else 2.2)


def _table(pdf: Page, rows: list[list[str]]) -> None:
    pdf.set_font("Helvetica", "", 9.5)
    pdf.ln(1)
    head = FontFace(emphasis="BOLD", fill_color=(225, 232, 236))
    with pdf.table(headings_style=head, line_height=6, text_align="LEFT") as table:
        for row in rows:
            table.row(row)
    pdf.ln(3)


def _draw(pdf: Page, text: str) -> None:
    """Draw a text in the notation described at the top."""
    for block in text.strip().split("\n\n"):
        lines = block.strip().split("\n")
        first = lines[0]
        if first.startswith("# "):
            _heading(pdf, first[2:], 15)
        elif first.startswith("## "):
            _heading(pdf, first[3:], 12)
        elif first.startswith("| "):
            _table(pdf, [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines])
        elif first.startswith("- "):
            for item in " ".join(lines)[2:].split(" - "):
                _paragraph(pdf, f"\xb7 {item}", indent=5)
        else:
            _paragraph(pdf, " ".join(lines))


def render(document: Document) -> bytes:
    """Return the bytes of one document."""
    pdf = Page(document)
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 21)
    pdf.multi_cell(0, 10, document.title, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    _draw(pdf, document.text)
    return bytes(pdf.output())


def damaged() -> bytes:
    """Return a file that begins like a PDF and is none: no page, no table of objects, no end."""
    noise = bytes((i * 89 + (i >> 3) * 31 + 7) % 256 for i in range(1800))
    return b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n3 0 obj\n<< /Length 48211 /Filter /Fl" + noise


SAFETY_MANUAL = """
This manual is the common part of the safety management system of Norrsund Line. It is edition 6
and has been in force since 1 March 2024. The ship's own part, with plans and muster lists, hangs
in the bridge of each vessel. Where the two differ, the stricter rule applies.

# 1 Policy

Nobody shall be hurt by our work. No timetable, no passenger's complaint and no cost is a reason to
sail when the master has doubts. The managing director signs this sentence every year in the
presence of the crews.

## 1.1 Responsibility

The master is responsible for the safety of the ship. The Designated Person Ashore sees to it that
the master gets what is needed, and has direct access to the chair of the board. The technical
superintendent is responsible for the condition of machinery and hull. Each of these three persons
may keep a ship in harbour.

## 1.2 Audits

Each ship is audited once in 12 months by a person who does not work on board. The office is
audited once in 24 months. Findings are divided into three classes: class 1 must be put right before
sailing, class 2 within 14 days and class 3 within 90 days.

# 2 Signals and alarms

## 2.1 Signals

The signals are the same on all ships and are given with the horn and with the bells.

| Signal | Meaning | First action |
| Seven short, one long | General emergency | Go to the muster station |
| Continuous bell | Fire | Fire teams to their lockers |
| Three long | Man overboard | Point at the person, do not look away |
| Two long, two short | Leave the car deck | All to deck 3 |
| One long by voice | All stop | Every job stops at once |

## 2.2 Announcements

Announcements are made in the language of the isles and in English. The mate reads from the card.
The first announcement comes no later than two minutes after the alarm, even if there is nothing to
say but that people should keep calm.

## 2.3 False alarms

A false alarm is treated as a true one until the master says otherwise. A sensor that has given two
false alarms in 30 days is exchanged.

# 3 Fire

## 3.1 Teams

There are two fire teams on each car ferry. Team 1 is led by the mate and team 2 by the second
engineer. On HSC Tern there is one team of three. Each team has four breathing sets, with air for
about 35 minutes each, and one thermal camera.

## 3.2 Car deck

The drencher of the car deck is divided into sections. The crew opens the section of the fire and
both of its neighbours. After 20 minutes the list of the ship is read; above 5 degrees the water is
stopped until the scuppers are clear. A burning electric car is cooled from below and is left under
water spray until it has been brought ashore.

## 3.3 Engine room

The engine room is closed and the gas is released when team 2 has been counted outside. The doors
are kept closed for at least 60 minutes. Only the chief engineer may order them to be opened.

## 3.4 Battery rooms

Card B-4 applies to battery rooms. It has five steps, and their order must not be changed.

| Step | Who | What |
| 1 | Battery officer | Look through the window, do not open the door |
| 2 | Chief engineer | Disconnect all strings of the room |
| 3 | Battery officer | Stop fans and close dampers |
| 4 | Mate | Release water mist by hand |
| 5 | Master | Clear the deck above and a zone of 50 metres ashore |

The battery room may be entered again no earlier than 24 hours after the mist has been stopped, and
only after the air has been measured.

# 4 Leaving the ship

## 4.1 Muster

Passengers are counted at the muster stations. The number is compared with the number from the
gates. The master decides to leave the ship; the decision is given by word of mouth, never by signal
alone.

## 4.2 Equipment

The table shows the equipment of each vessel. Lifejackets for children are kept in yellow boxes.

| Vessel | Evacuation slides | Liferafts | Lifejackets for children |
| MV Juniper | 2 | 12 | 60 |
| MV Rowan | 2 | 11 | 56 |
| MV Alder | 1 | 8 | 40 |
| MV Sallow | 0 | 5 | 18 |
| HSC Tern | 1 | 6 | 28 |

## 4.3 Times

The time from the order until the last person has left shall be no longer than 17 minutes for
Juniper and Rowan, 15 minutes for Alder, 12 minutes for Sallow and 8 minutes for Tern. Each ship
shows this once a year with volunteers. In the exercise of 14 October 2023 Rowan needed 13 minutes
and 40 seconds with 300 volunteers.

# 5 Man overboard

## 5.1 First minute

Whoever sees a person fall throws the nearest lifebuoy, calls loudly and keeps pointing. The bridge
presses the button that marks the place, turns towards the side of the fall and calls the rescue
boat's crew. The button also sends the place to the rescue boat Havdis.

## 5.2 Search

Without sight of the person the ship searches in an expanding square. The first leg is 0.2 nautical
miles. The water of the isles is rarely warmer than 16 degrees; the search goes on for at least
six hours unless the rescue centre decides otherwise.

# 6 Grounding and collision

## 6.1 Actions

Close all watertight doors, sound the tanks, look for pollution, and do not try to come off before
the soundings have been taken twice. The master calls the duty officer ashore within ten minutes.

## 6.2 Contact with a pier

A contact above 1.0 knot counts as an accident even if no damage can be seen. The ship may sail
again only when the technical superintendent has agreed. Bow thrusters are tested in both directions
before every arrival at Brandholm and Torsker, at a distance of at least half a nautical mile.

# 7 Cargo

## 7.1 Lashing

Vehicles above 3.5 tonnes are lashed when the forecast wave height is above 1.5 metres. Motorcycles
are always lashed. The lashing points hold 10 tonnes each and are numbered from forward to aft.

## 7.2 Dangerous goods

Dangerous goods travel with MV Bramble only, except medical oxygen. The declaration is handed in no
later than 24 hours before loading. Explosives are not carried on a sailing with more than 12 people
on board.

## 7.3 Vehicles with gas

Vehicles driven by gas or hydrogen are placed on the open part of the deck. There are at most eight
of them on Juniper, six on Rowan and four on Alder.

# 8 Security on board

## 8.1 Levels

Level 1 is normal. At level 2 one bag in ten is searched at the gate, and at level 3 no vehicles are
loaded. The level is set by the Maritime Board.

## 8.2 Doors

The bridge, the engine control room and the battery rooms are locked. The code is changed on the
first day of every month. Visitors to the bridge are entered in the log and are never alone.

# 9 After an accident

## 9.1 Care

The crew of a ship that has had an accident is relieved before the next sailing. Everyone is offered
a talk with somebody from outside the company within 48 hours.

## 9.2 Investigation

The Designated Person Ashore investigates every accident. The report is to be ready within 90 days.
It names causes and not culprits. It is shown to the crew concerned a week before it is published.

## 9.3 Learning

The measures of each report are entered in the list of actions. The list is read aloud in the first
safety meeting of every month. Safety meetings on board last no longer than 40 minutes, because
nobody listens after that.

# 10 Records

Logs are kept for five years, accident reports for thirty years and records of drills for three
years. Paper is stored in the dry room of Customs Quay, and screens are copied every night. Changes
of this manual are marked with a line in the margin and explained to the crew by the mate. Proposals
for changes can be made by anyone on form S-4; they are answered within 30 days. The next edition is
planned for March 2026.

# 11 Words used in this manual

## 11.1 Persons

Battery officer: a deck or engine officer with the high-voltage certificate who has the care of the
battery rooms during a watch. Duty officer ashore: the person who answers extension 199. Fire team:
four people who dress and enter together and leave together. Designated Person Ashore: the link
between the ship and the highest level of the company.

## 11.2 Things and places

Snap-back zone: the part of the deck that a parting line can sweep. Gate: the barrier at which
tickets are read and passengers are counted. Zone: the area that is kept free of people, with its
size given on the card in question. Narrow waters: the Kelva Narrows, the basin at Torsker, and the
last half nautical mile before any pier. In narrow waters the engine control room is manned, both
generators are running and the anchors are ready.
"""

ANNUAL_2022 = """
# Summary

The year 2022 brought passengers back to the ships. Norrsund Line carried 698,150 passengers, after
612,400 in 2021. Revenue was EUR 18.6 million and the result was EUR 0.4 million.

# Traffic

## Passengers by route

| Route | Passengers 2022 |
| Route 1 Norrsund - Kelva | 322,900 |
| Route 2 Norrsund - Brandholm | 193,050 |
| Route 3 Kelva - Lissmar | 95,200 |
| Route 4 Brandholm - Torsker | 39,700 |
| Route 5 Utgrund Express | 47,300 |
| Total | 698,150 |

## Quality

Of all sailings 93.1 percent arrived within five minutes of the timetable. 212 sailings were
cancelled, more than half of them in the storms of February. The high-speed craft Tern missed nine
days of the season after a net had stopped both water jets in August.

# Environment

Emissions of carbon dioxide were 9,870 tonnes. The contract for the conversion of MV Rowan to a
hybrid was signed with Hestvik Yard on 4 July 2022.

# People

At the end of the year the company had 164 employees. There were four injuries that led to absence.
Captain Karin Ebbesund received the Council's medal for 25 years of service without an accident.
The apprentice scheme began in September with six apprentices, three of them from Lissmar.

# Outlook

In 2023 Rowan will be away for twelve weeks. The company expects a small rise in passengers and a
fall in punctuality while smaller ships sail on Route 2.
"""

ANNUAL_2023 = """
# 1 The managing director's report

2023 was a year of two halves. In spring MV Rowan came back as a hybrid and Brandholm heard its
gulls again. In autumn the battery incident on MV Juniper took our largest ship away for 19 days.
That we carried more passengers than ever before is the merit of crews who changed ships, watches
and beds without complaint. - Maren Oldervik

# 2 Key figures

| Figure | 2022 | 2023 |
| Passengers | 698,150 | 731,900 |
| Cars | 184,300 | 191,750 |
| Revenue, EUR million | 18.6 | 20.1 |
| Result, EUR million | 0.4 | 0.2 |
| Punctuality, percent | 93.1 | 91.4 |
| Cancelled sailings | 212 | 287 |
| Employees | 164 | 171 |

# 3 Traffic

## 3.1 Passengers by route

| Route | Passengers 2023 |
| Route 1 Norrsund - Kelva | 338,600 |
| Route 2 Norrsund - Brandholm | 201,450 |
| Route 3 Kelva - Lissmar | 98,700 |
| Route 4 Brandholm - Torsker | 41,250 |
| Route 5 Utgrund Express | 51,900 |
| Total | 731,900 |

## 3.2 Freight

MV Bramble carried 61,300 tonnes of freight. The largest customers were the quarry of Brandholm,
the dairy of Kelva and the fishing cooperative of Torsker. Freight income was EUR 3.3 million.

## 3.3 Punctuality and cancellations

Punctuality fell below the promise of the passenger charter for the first time since 2016. We have
therefore paid EUR 118,000 in compensation. Of the 287 cancelled sailings 149 were cancelled because
of weather, 96 because of Juniper and 42 for other technical reasons.

# 4 Environment

## 4.1 Emissions

Emissions of carbon dioxide were 8,940 tonnes. The shore charger at Brandholm was opened on
2 October 2023 and supplied 610,000 kWh before the end of the year.

## 4.2 Waste

Single-use cups were abolished on 1 May 2023. A mug with a deposit of two euro took their place.
Of 9,000 mugs some 2,300 have not come back; we hope that they are well.

# 5 People and safety

## 5.1 Staff

Of 171 employees 38 percent are women. The average age is 43 years. Sickness absence was
5.2 percent.

## 5.2 Injuries

There were six injuries that led to absence, two more than in the year before. Four of them happened
while handling mooring lines or ramps. No passenger was seriously hurt.

# 6 Finance

## 6.1 Income

| Source | EUR million |
| Fares | 11.9 |
| Freight | 3.3 |
| Council contract | 3.8 |
| Restaurants and other | 1.1 |
| Total | 20.1 |

## 6.2 Investment

The company invested EUR 8.2 million, of which EUR 5.8 million went into the conversion of Rowan and
EUR 1.9 million into the charger at Brandholm. The auditor, Kristoffer Almby, had no remarks.

# 7 Outlook

In 2024 the board will decide on a hydrogen ferry for Lissmar. Fares rise by about five and a half
percent. We expect 750,000 passengers.
"""

ANNUAL_2024 = """
# 1 The managing director's report

A quiet year is the best kind of year at sea. In 2024 no ship was out of service for more than three
days without plan, and in May we ordered Linden, our first ship to sail on hydrogen.
- Maren Oldervik

# 2 Key figures

| Figure | 2024 |
| Passengers | 758,320 |
| Cars | 196,480 |
| Revenue, EUR million | 21.7 |
| Result, EUR million | 0.9 |
| Punctuality, percent | 94.6 |
| Cancelled sailings | 176 |
| Employees | 178 |

# 3 Traffic

## 3.1 Passengers by route

| Route | Passengers 2024 |
| Route 1 Norrsund - Kelva | 349,800 |
| Route 2 Norrsund - Brandholm | 210,120 |
| Route 3 Kelva - Lissmar | 101,900 |
| Route 4 Brandholm - Torsker | 43,600 |
| Route 5 Utgrund Express | 52,900 |
| Total | 758,320 |

Route 3 passed one hundred thousand passengers for the first time. Passenger number 100,000 was
Ylva Marnholt, a carpenter from Lissmar, who received a year's ticket on 21 December.

## 3.2 Freight

MV Bramble carried 58,700 tonnes of freight, less than in the year before because the quarry was
closed for nine weeks.

# 4 Environment

Emissions of carbon dioxide were 8,120 tonnes. Rowan sailed 31 percent of her hours on batteries.
The purchase of shore power came to 6.9 million kWh on all routes together.

# 5 People and safety

There were five injuries that led to absence. After the accident at Torsker in March all mooring
lines of the fleet were checked. The company had 178 employees at the end of the year, 14 of them
apprentices. Captain Anders Quill retires in the autumn of 2025 and will be followed by the present
mate of Sallow, Greta Hallvide.

# 6 Finance

## 6.1 Income

| Source | EUR million |
| Fares | 13.1 |
| Freight | 3.2 |
| Council contract | 4.2 |
| Restaurants and other | 1.2 |
| Total | 21.7 |

## 6.2 Investment

The first payment for Linden, EUR 3.9 million, was made in June. The National Coastal Fund pays the
first part of its grant when the keel is laid.

# 7 Outlook

In 2025 a new ticket system will be introduced and MV Alder will be docked for four weeks. We expect
770,000 passengers.
"""

FLEET_REGISTER = """
This register lists the official data of all vessels of Norrsund Line. It is kept by the technical
superintendent and was last corrected on 10 January 2024.

# Identification

| Vessel | Call sign | Fleet no. | Built | Gross tonnage | Home port |
| MV Sallow | VNSA | 4 | 1987 | 398 | Brandholm |
| MV Alder | VNAL | 5 | 1994 | 1,312 | Kelva |
| MV Bramble | VNBR | 6 | 1999 | 1,745 | Norrsund |
| MV Rowan | VNRO | 7 | 2003 | 2,468 | Norrsund |
| HSC Tern | VNTE | 8 | 2011 | 287 | Norrsund |
| MV Juniper | VNJU | 9 | 2019 | 2,903 | Norrsund |

The numbers 1 to 3 belonged to the Gudny, the Runa and the Elder and are not used again. Number 10
is reserved for Linden.

# MV Sallow

Sallow is the oldest vessel of the fleet. She was built in 1987 by the Torpa Boatworks and serves
Route 4 between Brandholm and Torsker. Her regular master is Captain Anders Quill.

| Item | MV Sallow |
| Length overall | 38.7 m |
| Draught | 2.4 m |
| Cars | 12 |
| Passengers | 140 |
| Service speed | 11 knots |
| Engine | One diesel, 640 kW |

# MV Bramble

Bramble is the freight ferry. She sails on Route 6 at night from Monday to Friday, from Norrsund to
Kelva and Brandholm. Her regular master is Captain Stellan Borg. She may carry 12 passengers, as a
rule drivers of lorries.

| Item | MV Bramble |
| Builder | Hestvik Yard |
| Length overall | 71.3 m |
| Draught | 3.9 m |
| Lane metres | 410 |
| Drivers | 12 |
| Service speed | 13 knots |
| Engines | Two diesels, 1,480 kW each |

# Certificates

| Vessel | Passenger ship certificate valid until |
| MV Sallow | 31 May 2024 |
| MV Alder | 28 February 2025 |
| MV Rowan | 31 March 2025 |
| HSC Tern | 30 April 2024 |
| MV Juniper | 30 June 2024 |

Bramble holds a cargo ship certificate, which is valid until 15 September 2025. All certificates are
issued by the Maritime Board. A copy hangs at the information desk of each ship.
"""

FREIGHT_TERMS = """
These terms apply to all freight on Norrsund Line from 1 January 2024. The freight manager is Ruben
Karsholm. Orders are taken by the freight office, which is open from 07:00 to 16:00 on weekdays.

# 1 Service

## 1.1 Sailings

Freight travels on Route 6 with MV Bramble. The ship sails in the nights from Monday to Friday.

| Harbour | Arrives | Departs |
| Norrsund | - | 22:30 |
| Kelva | 23:35 | 00:20 |
| Brandholm | 01:50 | 03:00 |
| Kelva | 04:25 | 05:00 |
| Norrsund | 06:00 | - |

## 1.2 Booking and delivery

Booking closes at 15:00 on the day of sailing. Vehicles must be at the gate by 21:30. Goods without
a vehicle are taken in the shed on Customs Quay until 19:00 and are loaded by our own staff.

# 2 Rates

## 2.1 Vehicles and trailers

| Unit | To Kelva, EUR | To Brandholm, EUR |
| Per started lane metre | 11.20 | 15.60 |
| Minimum per unit | 67.00 | 94.00 |
| Trailer without driver, extra | 28.00 | 28.00 |
| Refrigerated plug, per night | 19.50 | 19.50 |

## 2.2 Goods without a vehicle

| Weight | To Kelva, EUR | To Brandholm, EUR |
| Up to 50 kg | 9.00 | 12.00 |
| 51 to 250 kg | 24.00 | 31.00 |
| 251 to 1,000 kg | 58.00 | 76.00 |

Goods above 1,000 kg need a vehicle. A pallet may be at most 1.8 metres high.

## 2.3 Discounts

Customers with more than 2,000 lane metres a year receive 8 percent, and customers with more than
6,000 lane metres receive 14 percent. The discount is paid back in January of the following year.
Waste and recycling from the isles travel at half the rate.

## 2.4 Fuel surcharge

The surcharge is 3 percent when diesel oil costs more than EUR 800 a tonne and 6 percent when it
costs more than EUR 1,000 a tonne, taken as the mean of the month before.

# 3 Conditions

## 3.1 Vehicles

The greatest weight of one vehicle is 44 tonnes and the greatest height 4.3 metres. The load must be
secured by the customer. A vehicle that leaks is not loaded.

## 3.2 Liability

Our liability for goods is limited to EUR 8.50 per kilogram, unless a higher value was declared and
paid for. The charge for a declared value is 0.4 percent of it. Damage must be reported within seven
days, visible damage at the gate.

## 3.3 Cancellation

Cancellation is free until 12:00 on the day of sailing. After that half of the rate is due, and the
whole rate if the vehicle does not come.

## 3.4 Storage

Goods not fetched within three days cost EUR 4.00 for each started square metre and day. After
60 days we may sell them.

# 4 Special goods

## 4.1 Dangerous goods

Dangerous goods need a declaration 24 hours ahead and cost 50 percent more. The safety manual
applies.

## 4.2 Livestock and food

Livestock is carried under separate guidelines. Vehicles with food and vehicles with waste are
parked at least one lane apart.

## 4.3 Disputes

Disputes are decided by the District Court of Norrsund. Before that, both sides shall meet for an
hour with coffee, at the cost of the freight office.
"""

ROWAN_2021 = """
Report 2021-01. Investigated by Oskar Fennimore. Closed on 29 April 2021.

# Summary

On 12 February 2021 at 19:26 MV Rowan struck the head of the outer pier at Brandholm at a speed of
3.2 knots, on arrival from Norrsund with 96 passengers and 31 cars. Two passengers were slightly
hurt when they fell on the stairs. Fenders were torn off along a length of 4.6 metres, and the bow
was dented above the waterline.

# Course of events

The wind was 13 m/s from the north and within the limits. The bow thruster had been tested in one
direction only, a quarter of a nautical mile from the pier. When the master, Captain Marius Thole,
asked for thrust to port, the thruster stopped and could not be restarted. The port anchor was let
go, but it did not hold on the granite.

# Damage and cost

| Item | EUR |
| Fenders and pier head | 86,000 |
| Repair of the bow | 54,500 |
| Bow thruster | 23,700 |
| Refunds and buses | 6,800 |
| Total | 171,000 |

# Cause

The thruster stopped because its control card had been given a new program on 9 February 2021. In
the new program the limit for current to port was set to 120 amperes in place of 210. The supplier
had tested the program in the workshop, but not on board.

# Measures

- Thrusters are tested in both directions, at least half a nautical mile from the pier.
- New programs are tried at sea without passengers before they are used.
- The harbour of Brandholm has moved the light of the pier head by two metres, because it dazzled
the bridge.
- Stair rails on deck 4 have been made longer.
"""

DOCUMENTS = (
    Document(
        "safety/safety-manual.pdf", "Safety manual", "Safety manual, edition 6", SAFETY_MANUAL
    ),
    Document(
        "reports/annual-report-2022.pdf",
        "Annual report 2022 (short version)",
        "Annual report 2022",
        ANNUAL_2022,
    ),
    Document(
        "reports/annual-report-2023.pdf", "Annual report 2023", "Annual report 2023", ANNUAL_2023
    ),
    Document(
        "reports/annual-report-2024.pdf", "Annual report 2024", "Annual report 2024", ANNUAL_2024
    ),
    Document(
        "vessels/fleet-register.pdf",
        "Fleet register",
        "Fleet register, January 2024",
        FLEET_REGISTER,
    ),
    Document(
        "freight/freight-terms.pdf",
        "Freight terms and rates 2024",
        "Freight terms 2024",
        FREIGHT_TERMS,
    ),
    Document(
        "reports/incident-rowan-2021-02.pdf",
        "Incident report: MV Rowan, contact with the pier at Brandholm",
        "Incident report 2021-01",
        ROWAN_2021,
    ),
)
DAMAGED = "archive/timetable-1998-scan.pdf"


def build(folder: Path) -> list[Path]:
    """Write every PDF below ``folder`` and return the paths."""
    contents = {document.path: render(document) for document in DOCUMENTS}
    contents[DAMAGED] = damaged()
    written = []
    for relative, data in sorted(contents.items()):
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        written.append(target)
    return written


def main() -> None:
    """Write the PDFs to the folder given on the command line or to the corpus."""
    default = Path(__file__).resolve().parent / "corpus"
    for path in build(Path(sys.argv[1]) if len(sys.argv) > 1 else default):
        sys.stdout.write(f"{path.name} {path.stat().st_size}\n")


if __name__ == "__main__":
    main()
