"""The hotel's demo: who books early keeps the booking now, and who books late cancels.

As labels count two weeks after the arrival, the change is noticed a month after it began, and healed after another.
"""

from autoops.usecases.hotel.sample import write_sample
from autoops.usecases.made_up import MadeUp

MADE_UP = MadeUp(
    sample=write_sample,
    scenario="cancel",
    told="bookings made at most 30 days ahead are cancelled more often, and earlier ones less often",
    truth="whether they were cancelled",
    seed=7,
    magnitude=8,
    later=4,
)
