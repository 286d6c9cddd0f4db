"""From a reward request to an open valve: limits, arming, delivery and lick lines."""
