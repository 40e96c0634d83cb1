"""One MarketDataIncrementalRefresh into the books, a pass over its characters: a feed is mostly these.

Reading it with Python's own texts takes three times as long, and that is the time in which an order waits.
An entry that cannot be used is taken out of its book, and `faults` says why; the others of its message count.
"""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8

cdef enum:
    SOH = 1
    ZERO = 48
    NINE = 57
    EQUALS = 61


cdef struct Entry:
    # Where the values of the entry at hand begin, and how long they are; -1 where it has none.
    Py_ssize_t at[9]
    Py_ssize_t size[9]


cdef enum:
    ACTION = 0
    SIDE = 1
    PRICE = 2
    SIZE = 3
    DATE = 4
    TIME = 5
    CONDITION = 6
    KEY = 7
    REPLACED = 8

cdef enum:
    NUMBER = 0
    NOTHING = 1
    NONSENSE = 2


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
    if tag == 280:
        return REPLACED
    return -1


cdef inline str text_of(const char* data, Entry* entry, int which):
    if entry.at[which] < 0 or entry.size[which] == 0:
        return ""
    return PyUnicode_DecodeUTF8(data + entry.at[which], entry.size[which], NULL)


cdef inline int kind_of(str number):
    # Some LPs withdraw a quote with price or size 0, however many zeros they write.
    cdef Py_UCS4 character
    cdef int digits = 0, points = 0, others = 0
    cdef bint nothing = True
    for character in number:
        if u"0" <= character <= u"9":
            digits += 1
            nothing = nothing and character == u"0"
        elif character == u".":
            points += 1
        elif character != u"-" or digits or points or others:
            return NONSENSE
        else:
            others = 1
    if not digits or points > 1:
        return NONSENSE
    return NOTHING if nothing else NUMBER


cdef class Refresher:
    """Takes refreshes into `books`, which it shares with its owner: symbol of the venue -> object with entries and at.

    `spot_units` is the size of a quote that carries none, by symbol; `ours` names our symbol for each of the venue's.
    A book of more than `entries_max` is one that its LP takes nothing out of: it is dropped whole.
    """

    cdef dict _books, _ours, _spot_units
    cdef int _symbol_tag
    cdef Py_ssize_t _entries_max
    cdef readonly list faults

    def __init__(self, *, books, ours, spot_units, symbol_tag, entries_max):
        self._books, self._ours, self._spot_units = books, ours, spot_units
        self._symbol_tag, self._entries_max = int(symbol_tag), entries_max
        self.faults = []

    def take(self, str text):
        """Return which of our symbols changed and how many entries there were. Raises ValueError."""
        cdef Py_ssize_t length, at = 0, start
        cdef const char* data = PyUnicode_AsUTF8AndSize(text, &length)
        cdef Entry entry
        cdef int tag, which, count = 0
        cdef bint inside = False, named = False
        cdef str name = "", sent_at = "", theirs
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
                    theirs = self._put(data, &entry, name, named, sent_at)
                    if theirs is not None:
                        changed.add(self._ours[theirs])
                if tag == 10:
                    return changed, count
                for which in range(9):
                    entry.at[which] = -1
                inside, named = True, False
                count += 1
            if tag == 52 and not inside:
                sent_at = PyUnicode_DecodeUTF8(data + start, at - start, NULL)
            elif inside:
                which = slot(tag)
                if which >= 0:
                    entry.at[which], entry.size[which] = start, at - start
                elif tag == self._symbol_tag:
                    name, named = PyUnicode_DecodeUTF8(data + start, at - start, NULL), True
            at += 1
        raise ValueError("the message has no end")

    cdef str _put(self, const char* data, Entry* entry, str name, bint named, str sent_at):
        # Returns the symbol whose book was touched, None where it is none of ours.
        cdef str side = text_of(data, entry, SIDE), price = text_of(data, entry, PRICE)
        cdef str key = text_of(data, entry, KEY) if entry.at[KEY] >= 0 else f"{side}@{price}"
        cdef str action = text_of(data, entry, ACTION), size = text_of(data, entry, SIZE)
        cdef str before = text_of(data, entry, REPLACED) if action == "1" and entry.at[REPLACED] >= 0 else key
        cdef int worth, lots
        if not named and action != "0" and entry.at[KEY] >= 0:
            # Ids are of the whole session: a change or a deletion may name its entry and no symbol.
            name = self._holder(before, name)
        book = self._books.get(name)
        if book is None:
            return None
        cdef dict entries = book.entries
        # A venue need not repeat what did not change.
        known = entries.pop(before, None) if before != key else entries.get(key)
        if not side and known is not None:
            side = known[0]
        if not price:
            price = known[1] if known is not None else "0"
        if not size:
            size = known[2] if known is not None else self._spot_units[name]
        book.at = sent_at
        if entry.at[DATE] >= 0 and entry.at[TIME] >= 0:
            book.at = f"{text_of(data, entry, DATE)}-{text_of(data, entry, TIME)}"
        worth, lots = kind_of(price), kind_of(size)
        # 279=2 takes an entry away; 276=B is a quote that may not be hit.
        if action == "2" or text_of(data, entry, CONDITION) == "B":
            entries.pop(key, None)
        elif worth == NONSENSE or lots == NONSENSE:
            entries.pop(key, None)
            self.faults.append(f"{name}: no price and size are {price[:40]} and {size[:40]}")
        elif worth == NOTHING or lots == NOTHING:
            entries.pop(key, None)
        elif side == "0" or side == "1":
            entries[key] = (side, price, size)
            if len(entries) > self._entries_max:
                entries.clear()
                self.faults.append(f"{name}: more than {self._entries_max} entries and none taken away: all dropped")
        return name

    cdef str _holder(self, str key, str name):
        book = self._books.get(name)
        if book is not None and key in book.entries:
            return name
        for other, book in self._books.items():
            if key in book.entries:
                return other
        return ""
