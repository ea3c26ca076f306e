"""A published figure, recomputed from the log: found, its inputs read, measured anew, compared bit for bit.

``measurers`` who published it; ``published`` where it stands; ``evidence`` what it was computed from (``books`` with
what PostgreSQL has ``kept``) and the ``sources`` it was read from; ``recomputation`` the same close anew;
``differences`` field by field; ``closes`` which close was altered; ``chain`` from holdings to Value at Risk;
``explanation`` all of it together.
"""
