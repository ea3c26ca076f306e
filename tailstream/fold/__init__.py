"""What analytics and risk both know of the world: pure folds of the log, without a clock, a bus or a logger.

``versions`` the newest below a cut; ``books`` the tree and what each node holds; ``market`` closes, carried prices and
scenario returns; ``valuation`` a book at prices; ``progress`` which closes are due on which shard.
"""
