"""What analytics and risk both know of the world: pure folds of the log, without a clock, a bus or a logger.

``versions`` the newest below a cut; ``books`` the tree and what each node holds; ``market`` closes and carried prices;
``scenarios`` the returns of a stretch of closes; ``valuation`` a book at prices; ``world`` which closes are due on
which shard; ``gain`` what a portfolio made from one moment to another; ``work`` a close in steps.
"""
