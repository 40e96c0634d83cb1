"""One MarketDataIncrementalRefresh into the books, a pass over its characters: a feed is mostly these.

Reading it with Python's own texts takes three times as long, and that is the time in which an order waits.
"""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8

cdef enum:
    SOH = 1
    ZERO = 48
    NINE = 57
    EQUALS = 61


cdef struct Entry:
    # Where the values of the entry at hand begin, and how long they are; -1 where it has none.
    Py_ssize_t at[8]
    Py_ssize_t size[8]


cdef enum:
    ACTION = 0
    SIDE = 1
    PRICE = 2
    SIZE = 3
    DATE = 4
    TIME = 5
    CONDITION = 6
    KEY = 7


cdef inline int slot(int tag) noexcept nogil:
    if tag == 279:
        return ACTION
    if tag == 269:
        return SIDE
    if tag == 270:
        return PRICE
    if tag == 271:
        return SIZE
    if tag == 272:
        return DATE
    if tag == 273:
        return TIME
    if tag == 276:
        return CONDITION
    if tag == 278:
        return KEY
    return -1


cdef inline str text_of(const char* data, Entry* entry, int which):
    if entry.at[which] < 0 or entry.size[which] == 0:
        return ""
    return PyUnicode_DecodeUTF8(data + entry.at[which], entry.size[which], NULL)


cdef inline bint is_nothing(str number):
    # Some LPs withdraw a quote with price or size 0, however many zeros they write.
    cdef Py_UCS4 character
    for character in number:
        if character != u"0" and character != u".":
            return False
    return True


cdef class Refresher:
    """Takes refreshes into `books`, which it shares with its owner: symbol of the venue -> object with entries and at.

    `spot_units` is the size of a quote that carries none, by symbol; `ours` names our symbol for each of the venue's.
    """

    cdef dict _books, _ours, _spot_units
    cdef int _symbol_tag

    def __init__(self, *, books, ours, spot_units, symbol_tag):
        self._books, self._ours, self._spot_units = books, ours, spot_units
        self._symbol_tag = int(symbol_tag)

    def take(self, str text):
        """Return which of our symbols changed and how many entries there were. Raises KeyError, ValueError."""
        cdef Py_ssize_t length, at = 0, start
        cdef const char* data = PyUnicode_AsUTF8AndSize(text, &length)
        cdef Entry entry
        cdef int tag, which, count = 0
        cdef bint inside = False
        cdef str name = "", sent_at = ""
        cdef set changed = set()
        while at < length:
            tag = 0
            if data[at] == EQUALS:
                raise ValueError(f"a tag is missing at {at}")
            while at < length and data[at] != EQUALS:
                if data[at] < ZERO or data[at] > NINE:
                    raise ValueError(f"a tag is no number at {at}")
                tag = tag * 10 + (data[at] - ZERO)
                at += 1
            at += 1
            start = at
            while at < length and data[at] != SOH:
                at += 1
            if tag == 279 or tag == 10:
                if inside:
                    self._put(data, &entry, name, sent_at)
                    changed.add(self._ours[name])
                if tag == 10:
                    return changed, count
                for which in range(8):
                    entry.at[which] = -1
                inside = True
                count += 1
            if tag == 52 and not inside:
                sent_at = PyUnicode_DecodeUTF8(data + start, at - start, NULL)
            elif inside:
                which = slot(tag)
                if which >= 0:
                    entry.at[which], entry.size[which] = start, at - start
                elif tag == self._symbol_tag:
                    name = PyUnicode_DecodeUTF8(data + start, at - start, NULL)
            at += 1
        raise ValueError("the message has no end")

    cdef _put(self, const char* data, Entry* entry, str name, str sent_at):
        book = self._books[name]
        cdef dict entries = book.entries
        cdef str side = text_of(data, entry, SIDE), price = text_of(data, entry, PRICE)
        cdef str key = text_of(data, entry, KEY) if entry.at[KEY] >= 0 else f"{side}@{price}"
        cdef str size = text_of(data, entry, SIZE)
        # A venue need not repeat what did not change.
        known = entries.get(key)
        if not side and known is not None:
            side = known[0]
        if not price:
            price = known[1] if known is not None else "0"
        if not size:
            size = known[2] if known is not None else self._spot_units[name]
        book.at = sent_at
        if entry.at[DATE] >= 0 and entry.at[TIME] >= 0:
            book.at = f"{text_of(data, entry, DATE)}-{text_of(data, entry, TIME)}"
        # 279=2 takes an entry away; 276=B is a quote that may not be hit.
        if text_of(data, entry, ACTION) == "2" or text_of(data, entry, CONDITION) == "B":
            entries.pop(key, None)
        elif is_nothing(price) or is_nothing(size):
            entries.pop(key, None)
        elif side == "0" or side == "1":
            entries[key] = (side, price, size)
