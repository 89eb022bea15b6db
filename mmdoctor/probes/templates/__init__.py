"""Chat templates, rendered by an interpreter of their syntax tree that cannot do anything else.

jinja2's sandbox keeps a template from Python's internals, but not from the clock and the memory: a loop in a loop,
`'x' * 10**9` and `{{ x|center(10**9) }}` stop a process, some while the template is still being compiled. A process of
its own for each template would be slow, and a surprise in a checker that promises to start nothing. So jinja2 only
parses, which runs nothing, and the tree is walked here: values are JSON's, what may be done with them is listed, and
every step and every character is counted. What is not listed is not rendered, and the reason is told.
"""
