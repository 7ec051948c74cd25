"""Pages for people, in the same application as the API and over the same ports and steps.

    page.py      declares a page; who may see it
    visitor.py   the session behind a request, and the token that each form carries
    render.py    templates, texts in the visitor's language, headers
    forms.py     what a form sent, within bounds
    app.py       adds the pages to the application
    pages/       the handlers, by what people do there
    runs.py      playground runs: taken from a form, shown as parts of a page
    live.py      a submission's progress as pieces of its page
    assets.py    styles and scripts, named by their contents: sources in assets/, of which a build makes static/

A page calls no API route: it calls the steps and ports that the route calls. A refusal is an ``api.errors.Refused``
there as here; ``app`` shows it as a page.
"""
