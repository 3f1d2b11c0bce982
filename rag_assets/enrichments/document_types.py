"""The labels of a source that declares none, and the sentences that describe each.

A sentence counts twice: by what it means, to the embedder, and by the words that no other label
has. So it names what such documents have in common with one another (headings, set phrases), not
what they are about. The last two of each label are its other names and its usual parts, from
general knowledge. The rest were written or dropped by what they did on the half of the labelled
documents that is there for choosing (``rag_assets_tests/benchmarks/document_types``).
"""

from typing import Final

from rag_assets.enrichments.classification import Types

DOCUMENT_TYPES: Final[Types] = {
    "guide": (
        "A guide or tutorial that explains step by step how to do something.",
        "HOWTO: first steps, getting started, how to install, set up, configure, build and run it.",
        "In this chapter we will look at how you can use this in your own programs, with "
        "examples to try.",
        "A handbook chapter that explains to administrators how to configure a service.",
        "Tips, hints, guidelines and advice on what you should do and avoid.",
        "A handbook or guide for passengers, visitors or new members of staff.",
        "If you want to do this, you need to; let us see what happens then.",
        "Also called a tutorial, howto, cookbook, primer, walkthrough, lesson, "
        "introduction or user guide.",
        "Installing, configuring, building, using, writing, creating and testing it: an "
        "example, prerequisites, first steps, troubleshooting and tips.",
    ),
    "reference": (
        "Reference documentation that describes a command, function or object.",
        "Manual page: NAME, SYNOPSIS, DESCRIPTION, OPTIONS, EXAMPLES, SEE ALSO.",
        "SQL command: CREATE, ALTER or DROP, its synopsis, parameters, notes and compatibility.",
        "Source code: this module defines and provides the following classes, functions "
        "and methods.",
        "C interface: int function(void *argument); typedef, define, constants; this "
        "routine returns a pointer.",
        "A system catalog or view with its columns, their type and description.",
        "A module and its directives: description, status, syntax, default and context of each.",
        "A register or list of commands, options, terms or items with their data, to "
        "look things up in.",
        "Also called a manual page, API or library reference, glossary, catalogue, "
        "register or list of commands.",
        "For each entry its name, syntax, parameters, arguments, default, return value, "
        "type and errors.",
    ),
    "specification": (
        "A specification that defines technical properties and data.",
        "File format: header, bytes, offsets, signature, encoding.",
        "Protocol specification: messages, requests and responses between client and server.",
        "Formal grammar: syntax diagrams, productions, tokens.",
        "A standard that establishes a machine-readable format; the keywords it defines "
        "and their values.",
        "Technical data of a vessel or machine: built, length, draught, capacity, engines, speed.",
        "Also called a standard, grammar, syntax, file format, protocol, data sheet or RFC.",
        "Scope, normative requirements, conformance, definitions, fields, values, "
        "encoding and limits.",
    ),
    "timetable or price list": (
        "A timetable or a list of fares and prices.",
        "Timetable: departures and arrivals, Monday to Friday, Saturdays, Sundays.",
        "Fares: adult, child, car, single, return, monthly pass.",
        "Also called a schedule, tariff, fares table or rate card.",
        "Departures, arrivals, days, prices per adult and child, valid from.",
    ),
    "policy or procedure": (
        "A policy or procedure that states rules, duties and rights.",
        "Policy manual: packages must, should not, may not; what is required and what is "
        "forbidden.",
        "Constitution, charter, social contract, licence: terms and conditions, rights "
        "and obligations.",
        "Procedures for crew and staff: who decides, approved by, must be reported.",
        "The process by which changes are proposed, decided and accepted.",
        "Duties and responsibilities of members and maintainers; quality management plan.",
        "Also called rules, regulations, code of conduct, charter, constitution, terms "
        "and conditions or licence.",
        "Purpose, scope, responsibilities, requirements, exceptions: what must, should or"
        " may not be done.",
    ),
    "report": (
        "A report on what happened in a year or an incident, with findings.",
        "Annual report: results, revenue, passengers carried, outlook.",
        "Incident report: summary, sequence of events, cause, injuries, findings, recommendations.",
        "Also called a review, audit, investigation, results or annual report.",
        "Summary, findings, causes, figures, conclusions and recommendations of a year, "
        "project or incident.",
    ),
    "minutes": (
        "Minutes of a meeting with attendees, items discussed and decisions.",
        "Present, apologies, chair, agenda, matters arising, next meeting.",
        "Also called a meeting record or notes of a meeting.",
        "Present, apologies, agenda, decisions, action items, next meeting.",
    ),
    "log": (
        "A log with dated entries of work done.",
        "Maintenance log: entries by date, work carried out, hours, by whom.",
        "Also called a journal, logbook or diary.",
        "Each entry has a date, what was done, and by whom.",
    ),
    "notice": (
        "A notice that announces a temporary change or disruption.",
        "Notice to customers: closed, cancelled or out of service from until; replacement.",
        "Also called an announcement, alert, advisory, bulletin or circular.",
        "What is closed, cancelled or changed, from when until when, and whom to contact.",
    ),
    "press release": (
        "A press release that announces news to the public.",
        "Press release for immediate publication: the company announces, said the "
        "director, press contact.",
        "Also called a media release, news release or statement to the press.",
        "For immediate release: a company announces, a quotation, press contact.",
    ),
    "release notes": (
        "Release notes that list what changed in a new version.",
        "Release date: fixes from the previous release, migration to this release.",
        "What's New: new features in this release; deprecated, removed, improved.",
        "Fix a bug that; add support for; enhancements; bug fixes in version 3.5.4.",
        "Changelog: urgency, upload, unstable, closes.",
        "Also called a changelog, what's new, news, changes or upgrade notes.",
        "New features, improvements, bug fixes, deprecated and removed in each version, "
        "how to migrate.",
    ),
    "questions and answers": (
        "Frequently asked questions with their answers.",
        "FAQ: What is it? Why is it? Can I? How do I? Is there? Does it? Where?",
        "Answers to general questions about a project: which one is right for me, where "
        "can I get help?",
        "Also called an FAQ, frequently asked questions, Q&A or help page.",
        "What is it? Why does it? How do I? Can I? Where can I get help?",
    ),
    "article": (
        "An article that tells a story or explains the background of a subject.",
        "An essay on advantages, disadvantages and reasons of a choice.",
        "Preface or foreword: the author, readers, thanks.",
        "History of a project and how it came about, its manifesto and aims.",
        "Design notes: goals, overview, internals and algorithms, how it works inside.",
        "A distribution, product or company described in a few paragraphs: "
        "derived from, aimed at, popular.",
        "A programme or project of the future: plans, promises, money, emissions.",
        "Also called an essay, background, overview, story, blog post, preface, foreword "
        "or white paper.",
        "Introduction, background, history, motivation, reasons, comparison, design, "
        "conclusion: why it is as it is and how it works inside.",
    ),
    "table of contents": (
        "A table of contents or an index that links to other pages.",
        "Index: A B C D E F G, symbols, in module, class, attribute, method.",
        "Table of Contents: Chapter 1, 1.1, 1.2, Chapter 2, Chapter 3; prev, up, next, home.",
        "Navigation: previous topic, next topic, show source, search page.",
        "Contents of this manual: list of its documents, parts and chapters.",
        "Also called an index, contents, list of pages, start page, home page or site map.",
        "Chapters, sections and pages in order or by letter, with links: next, previous, up, home.",
    ),
}
