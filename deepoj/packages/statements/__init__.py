"""Statements of packages, made fit for a reader's browser.

A setter's text may be hostile, and so may be what a converter makes of it. The steps::

    package ─▶ sources      reads texts, samples and attachments within bounds
            ─▶ pandoc       text → document tree, in the sandbox
            ─▶ document     keeps the node types that are known; takes formulas out, leaves a marker with a nonce; finds
                            images among the package's own files
            ─▶ pandoc       document tree → HTML, formulas → MathML, in the sandbox
            ─▶ safe_html    nh3 sanitizes the HTML; MathML is rebuilt element by element; then it replaces the markers
            ─▶ publisher    stores the result

No foreign ``<math>``, ``<svg>``, ``<style>``, id, class or event attribute gets through: the tree has no place for
them, and the sanitizer removes them once more. TeX that is not understood stays visible as text. A statement that
cannot be rendered within the limits is shown as its source.
"""
