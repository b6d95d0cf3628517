"""Bayesian factorization machine by Gibbs sampling: no learning rate, no weight decay, every score with its spread.

    r = mean + b_u + b_i + b_d + P_u·Q_i + P_u·D_d + Q_i·D_d + noise

Biases b and factors P, Q of users and items are sums over what is known of them: the row itself, its *history* (the
items a user rated, the users who rated an item, weighted 1/√n; Koren 2008, and both ways as in Rendle et al. 2019),
its side table's columns. Every group of features has its own normal-gamma prior, learned along (Rendle 2012). Factors
are drawn jointly in blocks of eight (Salakhutdinov & Mnih 2008). With ``ordinal=True`` stars are slices of a hidden
rating (Albert & Chib 1993). The noise is searched on a slice held out of train, which is then put back.
"""

from .fit import gibbs
from .settings import posterior_nbytes

__all__ = ["gibbs", "posterior_nbytes"]
