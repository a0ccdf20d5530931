"""Oil of Roots meters: due by the calendar, the gas measured or the level, whichever comes first.

No sourced interval exists: calendar and volume need one in the registry or the policy, and there is
no default. The level is the meter's own word, its status `low_oil`.
"""
