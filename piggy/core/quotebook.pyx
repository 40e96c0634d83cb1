# cython: language_level=3, boundscheck=False, wraparound=False
"""One symbol's quotes over its venues, compiled: the best bid and offer are kept current with every update.

Prices stay the Decimals of the quotes, so nothing is rounded and what is shown is what the venue sent. An update looks
at the other venues only when the best one of a side got worse.
"""

from decimal import Decimal, InvalidOperation

from libc.stdint cimport int64_t

from piggy.core.accounts import Venue
from piggy.core.market import AttributedLevel, BestQuote
from piggy.core.quotefilter import (
    AHEAD_MS_MAX, PRICE_MAX, SIZE_MAX, Fault, QuoteFilter, completed, fault_of, is_back, is_spike
)

cdef int64_t NEVER_US = <int64_t>1 << 62
cdef int64_t AHEAD_US = AHEAD_MS_MAX * 1000
cdef object ZERO = Decimal(0)
cdef object HIGHEST = PRICE_MAX, LARGEST = SIZE_MAX
cdef object BAND_BPS = Decimal(30_000)
cdef object SPIKE = Fault.SPIKE
cdef object RECOVERING = Fault.RECOVERING


cdef class Feed:
    """One venue's stream of one symbol: the quote that counts, or why none does."""

    cdef readonly object venue, quote, fault
    cdef object filter, reference, believed  # the quote that the next is judged by, and the last that counted
    cdef object bid_low, bid_high, ask_low, ask_high  # around the reference: a quote inside cannot be a spike
    cdef object bid, bid_size, ask, ask_size
    cdef list ranked_bids, ranked_asks  # made when first asked for, None until then
    cdef str name
    cdef bint enabled
    cdef int64_t priority, age_us, expires_at_us
    cdef int good

    def __init__(self, *, venue, quote_filter):
        self.filter = quote_filter
        self.configure(venue=venue)

    def configure(self, *, venue):
        """Take the venue's age limit, priority and whether it is enabled."""
        self.venue, self.name, self.enabled, self.priority = venue, venue.name, venue.enabled, venue.priority
        self.age_us = venue.quote_age_ms_max * 1000
        self.expires_at_us = self.quote.received_at_us + self.age_us if self.quote is not None else 0
        self.ranked_bids = self.ranked_asks = None

    def configure_filter(self, *, quote_filter):
        """Take the spike limit and the recovery count."""
        self.filter = quote_filter
        self.bid_low = None

    def dumped(self):
        """Return all that later quotes are judged by: (quote, reference, fault, good quotes in a row, believed)."""
        return self.quote, self.reference, self.fault, self.good, self.believed

    def restore(self, *, quote, reference, fault, good, believed):
        """Take what `dumped` gave."""
        self.quote, self.reference, self.fault, self.good, self.believed = quote, reference, fault, good, believed
        self.bid_low = self.ranked_bids = self.ranked_asks = None
        self.bid = self.bid_size = self.ask = self.ask_size = None
        if quote is None:
            return
        self.expires_at_us = quote.received_at_us + self.age_us
        if quote.bids:
            self.bid, self.bid_size = quote.bids[0].price, quote.bids[0].size
        if quote.asks:
            self.ask, self.ask_size = quote.asks[0].price, quote.asks[0].size

    cdef bint withdraw(self):
        # The quote is gone; what the next one is judged by stays, or a new session could begin with any price.
        cdef bint had = self.quote is not None
        self.quote = self.bid = self.bid_size = self.ask = self.ask_size = None
        self.ranked_bids = self.ranked_asks = None
        return had

    cdef bint is_live(self, int64_t now_us):
        return self.quote is not None and self.enabled and self.begins_at_us() <= now_us <= self.expires_at_us

    cdef int64_t begins_at_us(self):
        # Who reads an earlier time has a clock that was set back, and cannot tell how old the quote is.
        return self.expires_at_us - self.age_us - AHEAD_US

    cdef object take(self, quote, int64_t at_us):
        # The tops are read once: an attribute of a quote costs as much as a comparison.
        cdef tuple bids = quote.bids, asks = quote.asks
        cdef object bid = None, bid_size = None, ask = None, ask_size = None, fault
        cdef bint spiked = False
        if bids:
            bid, bid_size = bids[0].price, bids[0].size
        if asks:
            ask, ask_size = asks[0].price, asks[0].size
        if bids and asks and is_plain(bids, bid, bid_size, asks, ask, ask_size):
            fault = None
        else:
            fault = fault_of(quote=quote)
        if fault is None:
            if not self.is_inside(bid, ask):
                if self.reference is not None:
                    spiked = is_spike(quote=quote, reference=self.reference, quote_filter=self.filter)
                if spiked and self.fault is not None and self.is_back(quote):
                    spiked, self.good = False, 0
                self.draw_band(bid, ask)
            self.reference = quote if bids and asks else completed(quote=quote, reference=self.reference, quote_filter=self.filter)
        self.ranked_bids = self.ranked_asks = None
        if fault is not None or spiked:
            self.good, self.quote, self.fault = 0, None, SPIKE if spiked else fault
        elif self.fault is not None and (self.good + 1 < self.filter.good_ticks or not (bids or asks)):
            # A quote of nothing says nothing of the venue's prices.
            self.good, self.quote = self.good + (1 if bids or asks else 0), None
            return RECOVERING
        else:
            self.quote, self.fault, self.expires_at_us = quote, None, at_us + self.age_us
            self.believed = self.reference
            self.bid, self.bid_size, self.ask, self.ask_size = bid, bid_size, ask, ask_size
        return self.fault

    cdef list ranked(self, bint is_bid):
        # This venue's levels of a side, each behind what it is sorted by.
        if is_bid:
            if self.ranked_bids is None:
                self.ranked_bids = self.sortable(self.quote.bids, True)
            return self.ranked_bids
        if self.ranked_asks is None:
            self.ranked_asks = self.sortable(self.quote.asks, False)
        return self.ranked_asks

    cdef list sortable(self, tuple levels, bint is_bid):
        cdef list found = []
        cdef int place = 0
        cdef object at_us = self.quote.received_at_us
        for level in levels:
            price, size = level.price, level.size
            shown = AttributedLevel(price=price, size=size, venue=self.name, received_at_us=at_us)
            # The place keeps two equal levels of one venue from being compared themselves.
            found.append((-price if is_bid else price, -size, self.priority, self.name, place, shown))
            place += 1
        return found

    cdef bint is_back(self, quote):
        # After a lone bad tick the venue's price is where it was: it is no second jump.
        return self.believed is not None and is_back(quote=quote, believed=self.believed, quote_filter=self.filter)

    cdef bint is_inside(self, bid, ask):
        # A third of the limit either way of the price that the band was drawn at, so any two prices inside are close.
        return (
            self.bid_low is not None and bid is not None and ask is not None
            and self.bid_low < bid and bid < self.bid_high and self.ask_low < ask and ask < self.ask_high
        )

    cdef void draw_band(self, bid, ask):
        self.bid_low = None
        if bid is not None and ask is not None:
            share = self.filter.spike_bps_max / BAND_BPS
            self.bid_low, self.bid_high = bid - bid * share, bid + bid * share
            self.ask_low, self.ask_high = ask - ask * share, ask + ask * share


cdef bint is_plain(tuple bids, bid, bid_size, tuple asks, ask, ask_size):
    # The usual quote, good levels on both sides; whatever does not pass is looked at closely.
    try:
        return ZERO < bid and bid <= ask and ask <= HIGHEST and (
            ZERO < bid_size and bid_size <= LARGEST and ZERO < ask_size and ask_size <= LARGEST
            and (len(bids) == 1 or falls_away(bids, bid, True)) and (len(asks) == 1 or falls_away(asks, ask, False))
        )
    except InvalidOperation:  # NaN does not compare.
        return False


cdef bint falls_away(tuple levels, before, bint is_bid):
    # Whether every level after the first is a price and a size, and worse than the one before it.
    cdef Py_ssize_t at
    cdef object price, size
    for at in range(1, len(levels)):
        price, size = levels[at].price, levels[at].size
        if not (ZERO < price and price <= HIGHEST and ZERO < size and size <= LARGEST):
            return False
        if not (price < before if is_bid else price > before):
            return False
        before = price
    return True


cdef bint is_better_bid(Feed one, Feed other):
    # Price, then size, then the venue's priority, then its name.
    if other is None or other.bid is None:
        return one.bid is not None
    if one.bid is None or one.bid < other.bid:
        return False
    return one.bid > other.bid or outranks(one, one.bid_size, other, other.bid_size)


cdef bint is_better_ask(Feed one, Feed other):
    if other is None or other.ask is None:
        return one.ask is not None
    if one.ask is None or one.ask > other.ask:
        return False
    return one.ask < other.ask or outranks(one, one.ask_size, other, other.ask_size)


cdef bint outranks(Feed one, one_size, Feed other, other_size):
    if one_size != other_size:
        return one_size > other_size
    return (one.priority, one.name) < (other.priority, other.name)


cdef class QuoteBook:
    """The feeds of one symbol and the best of them, known for every moment from `from_us` to `until_us`."""

    cdef readonly str symbol
    cdef readonly dict feeds
    cdef Feed bid, ask
    cdef object shown
    cdef tuple bids, asks
    cdef int64_t from_us, until_us

    def __init__(self, *, symbol):
        self.symbol = symbol
        self.feeds = {}
        self.forget()

    def forget(self):
        """A feed came, went or was configured: find the best anew when next asked."""
        self.from_us, self.until_us = 1, 0

    cdef object update(self, Feed feed, quote):
        # Take one venue's quote; the best bid and offer as of its arrival are known afterwards.
        cdef int64_t at_us = quote.received_at_us
        cdef object fault
        cdef object old_bid = feed.bid, old_bid_size = feed.bid_size
        cdef object old_ask = feed.ask, old_ask_size = feed.ask_size
        cdef bint counted = feed.quote is not None
        fault = feed.take(quote, at_us)
        self.shown = self.bids = self.asks = None
        if not self.from_us <= at_us <= self.until_us or not counted or feed.quote is None or not feed.enabled:
            self.scan(at_us)
            return fault
        self.until_us = min(self.until_us, feed.expires_at_us)
        self.from_us = max(self.from_us, feed.begins_at_us())
        if feed is not self.bid:
            if is_better_bid(feed, self.bid):
                self.bid = feed
        elif feed.bid is None or feed.bid < old_bid or feed.bid_size < old_bid_size:
            self.bid = self.best_of(at_us, True)
        if feed is not self.ask:
            if is_better_ask(feed, self.ask):
                self.ask = feed
        elif feed.ask is None or feed.ask > old_ask or feed.ask_size < old_ask_size:
            self.ask = self.best_of(at_us, False)
        return fault

    def best(self, *, int64_t now_us):
        """Return the best live bid and offer with their venues, None when there is neither."""
        if not self.from_us <= now_us <= self.until_us:
            self.scan(now_us)
        if self.shown is None and (self.bid is not None or self.ask is not None):
            self.shown = BestQuote(symbol=self.symbol, bid=shown_bid(self.bid), ask=shown_ask(self.ask))
        return self.shown

    def levels(self, *, int64_t now_us, bint bids):
        """Return the live levels of a side, best first: the same tuple for as long as it is true."""
        if not self.from_us <= now_us <= self.until_us:
            self.scan(now_us)
        if bids:
            if self.bids is None:
                self.bids = self.merged(now_us, True)
            return self.bids
        if self.asks is None:
            self.asks = self.merged(now_us, False)
        return self.asks

    cdef tuple merged(self, int64_t now_us, bint is_bid):
        cdef Feed feed
        cdef list found = []
        for feed in self.feeds.values():
            if feed.is_live(now_us):
                found += feed.ranked(is_bid)
        found.sort()
        return tuple([(<tuple>entry)[5] for entry in found])

    def live(self, *, int64_t now_us):
        """Return the feeds that count at `now_us`, in no order."""
        cdef Feed feed
        return [feed for feed in self.feeds.values() if feed.is_live(now_us)]

    cdef void scan(self, int64_t now_us):
        # Remember also how long the answer holds: until the next live quote ages or one of the future begins, back to
        # when the last stale one aged or a live one began.
        cdef Feed feed
        self.shown = self.bids = self.asks = None
        self.from_us, self.until_us = -NEVER_US, NEVER_US
        for feed in self.feeds.values():
            if feed.is_live(now_us):
                self.until_us = min(self.until_us, feed.expires_at_us)
                self.from_us = max(self.from_us, feed.begins_at_us())
            elif feed.quote is None or not feed.enabled:
                continue
            elif now_us < feed.begins_at_us():
                self.until_us = min(self.until_us, feed.begins_at_us() - 1)
            else:
                self.from_us = max(self.from_us, feed.expires_at_us + 1)
        self.bid = self.best_of(now_us, True)
        self.ask = self.best_of(now_us, False)

    cdef Feed best_of(self, int64_t now_us, bint is_bid):
        cdef Feed feed, best = None
        for feed in self.feeds.values():
            if feed.is_live(now_us) and (is_better_bid(feed, best) if is_bid else is_better_ask(feed, best)):
                best = feed
        return best


cdef object shown_bid(Feed feed):
    if feed is None:
        return None
    return AttributedLevel(
        price=feed.bid, size=feed.bid_size, venue=feed.name, received_at_us=feed.quote.received_at_us
    )


cdef object shown_ask(Feed feed):
    if feed is None:
        return None
    return AttributedLevel(
        price=feed.ask, size=feed.ask_size, venue=feed.name, received_at_us=feed.quote.received_at_us
    )


cdef class QuoteTable:
    """The books of all symbols, what is configured of their venues, and which symbols changed."""

    cdef readonly dict books
    cdef dict venues, filters
    cdef readonly set touched

    def __init__(self):
        self.books, self.venues, self.filters, self.touched = {}, {}, {}, set()

    def configure(self, *, venue):
        """Take a venue's age limit, priority and whether it is enabled; an unknown venue has the defaults."""
        self.venues[venue.name] = venue
        for symbol, book in self.books.items():
            feed = book.feeds.get(venue.name)
            if feed is not None:
                feed.configure(venue=venue)
                book.forget()
                self.touched.add(symbol)

    def configure_filter(self, *, symbol, quote_filter):
        """Take the spike limit and recovery count of one symbol, whoever quotes it by now."""
        cdef QuoteBook book = self.books.get(symbol)
        self.filters[symbol] = quote_filter
        if book is not None:
            for feed in book.feeds.values():
                feed.configure_filter(quote_filter=quote_filter)

    def restore(self, *, venue, symbol, quote, reference, fault, good, believed=None):
        """Put one venue's feed of a symbol back as it was dumped; it is not a change."""
        cdef QuoteBook book = self.book_of(symbol)
        known = self.venues.get(venue) or Venue(name=venue)
        feed = book.feeds[venue] = Feed(venue=known, quote_filter=self.filters.get(symbol) or QuoteFilter())
        feed.restore(quote=quote, reference=reference, fault=fault, good=good, believed=believed)
        book.forget()

    def update(self, *, quote):
        """Replace the venue's whole book of the symbol; return why it does not count, None when it does."""
        cdef object symbol = quote.symbol, name = quote.venue
        cdef QuoteBook book = self.books.get(symbol)
        cdef Feed feed
        if book is None:
            book = self.book_of(symbol)
        feed = book.feeds.get(name)
        if feed is None:
            venue = self.venues.get(name) or Venue(name=name)
            feed = book.feeds[name] = Feed(venue=venue, quote_filter=self.filters.get(symbol) or QuoteFilter())
        self.touched.add(symbol)
        return book.update(feed, quote)

    def withdraw(self, *, venue, symbol=None):
        """Take the venue's quotes of one symbol, or of all when its session is down, off the market."""
        cdef QuoteBook book
        cdef Feed feed
        for name in [symbol] if symbol is not None else list(self.books):
            book = self.books.get(name)
            feed = book.feeds.get(venue) if book is not None else None
            if feed is not None and feed.withdraw():
                book.forget()
                self.touched.add(name)

    cdef QuoteBook book_of(self, symbol):
        return self.books.setdefault(symbol, QuoteBook(symbol=symbol))
