"""Plain text, Markdown, records, XML, e-mail and EPUB."""
