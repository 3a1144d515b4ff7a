"""History walked forward with production's own code: what would this policy have done, and what would it have cost?"""
