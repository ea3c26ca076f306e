"""The maths: arrays in, numbers out. No state, no clock, no input or output; imports nothing else of the house.

Conventions (every docstring keeps them): returns are simple decimal fractions a period, oldest first, without gaps;
VaR, ES and drawdowns are positive when they are losses; a figure that does not exist is `None` with a status.

A function of one book gives the same bits however many books are measured beside it: sums are fixed reductions
(`np.add.reduce`), never BLAS. The functions named `*_live` are the exception and serve the live path alone.
"""
