/* models.keyterms.key_terms, which the names and numbers below are from. What is read of an article is bounded before
   anything is allocated. The interpreter's lock is kept: it is held for less time than taking it back may need. */

#include "json.h"
#include "stem.h"

#include <math.h>
#include <string.h>

enum { TITLE = 25, LEAD = 40, READ = 200, TITLE_READ = 100, LONGEST = 6000, SPELLING = 40, ENDING = 3, ORIGINS = 6 };
enum { TOGETHER = 16, KEY_JSON = (WORD_CHARS + SPELLING) * CODE_JSON + 64 };
static const double NAME = 1.5, RAREST = 1e-5, NUMBERS[ZEROS] = {0.2, 0.03, 0.005, 0.03, 0.001};

typedef struct {
    const uint32_t *letters; /* of the term */
    uint64_t sum, place; /* of hash_of: that of all letters but the last, and the last one's power */
    uint32_t length, start, end; /* start and end in the text */
    uint8_t in_body, capital, number, marker, latin;
} Written;

typedef struct {
    uint64_t hash;
    const Written *first;
    double count, share, weight;
    int common;
} Key;

typedef struct {
    Text text[2]; /* title, body */
    uint32_t *letters;
    Written *written;
    Key *keys;
    const Key **chosen;
    uint32_t *seen;
    char *json;
} Reading;

INLINE int is_ascii(const uint32_t *word, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (word[i] >= 128) return 0;
    return 1;
}

INLINE int is_same(const uint32_t *word, size_t length, const char *ascii, size_t size) {
    if (length != size) return 0;
    for (size_t i = 0; i < size; i++)
        if (word[i] != (uint32_t)(unsigned char)ascii[i]) return 0;
    return 1;
}

INLINE int ends_with(const uint32_t *word, size_t length, const char *ending, size_t size) {
    return length >= size && is_same(word + length - size, size, ending, size);
}

/* How much of a word models.keyterms._english keeps; what ends in -ies gets a y for its last letter. */
static size_t english_length(const uint32_t *word, size_t length) {
    if (length <= 3) return length;
    if (ends_with(word, length, "ies", 3)) return length - 2;
    if (ends_with(word, length, "es", 2) && length > 5) return length - 2;
    if (ends_with(word, length, "s", 1) && !ends_with(word, length, "ss", 2)) return length - 1;
    if (ends_with(word, length, "ing", 3) && length > 6) return length - 3;
    if (ends_with(word, length, "ed", 2) && length > 5) return length - 2;
    return length;
}

/* models.keyterms._english, in place; returns the new length. */
static size_t english(uint32_t *word, size_t length) {
    if (length > 3 && ends_with(word, length, "ies", 3)) word[length - 3] = 'y';
    else return english_length(word, length);
    return length - 2;
}

static int is_stem(const uint32_t *word, size_t length) {
    uint32_t copy[WORD_CHARS], *stemmed = copy;
    memcpy(copy, word, length * sizeof(uint32_t));
    return stem(&stemmed, length, 0) == length;
}

static int is_marker(const uint32_t *word, size_t length) {
    static const uint32_t URGENT[4] = {0x639, 0x627, 0x62C, 0x644};
    return (length == 4 && memcmp(word, URGENT, sizeof URGENT) == 0) || is_same(word, length, "breaking", 8) ||
           is_same(word, length, "urgent", 6);
}

/* Whether an address, https?://\S+, begins here. */
static int is_address(Text text, size_t i) {
    static const char BEGIN[] = "http", REST[] = "://";
    for (size_t j = 0; j < 4; j++, i++)
        if (i >= text.length || read_at(text.data, text.kind, i) != (uint32_t)BEGIN[j]) return 0;
    if (i < text.length && read_at(text.data, text.kind, i) == 's') i++;
    for (size_t j = 0; j < 3; j++, i++)
        if (i >= text.length || read_at(text.data, text.kind, i) != (uint32_t)REST[j]) return 0;
    return i < text.length && !is_space(read_at(text.data, text.kind, i));
}

/* Whether so many bits are set, the lowest first. */
INLINE int are_set(uint32_t bits, size_t many) {
    uint32_t all = many < 32 ? (1u << many) - 1 : 0xFFFFFFFFu;
    return (bits & all) == all;
}

/* The words of the title or the body, as far as `most` words between spaces go. `letters` is moved on, by at most one
   for each code point; each word written ends with a code point of its own, or with the text. */
INLINE size_t read_some(const Model *model, Text text, int in_body, size_t most, uint32_t **letters, Written *written) {
    uint32_t *first = *letters, digits = 0, all = 0;
    uint64_t sums[HASHED + 1] = {0};
    size_t found = 0, size = 0, spaced = 0;
    Pages pages = pages_of(model);
    int inside = 0;
    Written word = {0};
    for (size_t i = 0; spaced < most && i <= text.length; i++) {
        uint32_t code = i < text.length ? read_at(text.data, text.kind, i) : ' ', folded = SPACE;
        size_t end = i;
        if (is_space(code)) {
            spaced += (size_t)inside;
            inside = 0;
        } else {
            inside = 1;
            if (code == 'h' && is_address(text, i)) {
                while (i + 1 < text.length && !is_space(read_at(text.data, text.kind, i + 1))) i++;
            } else {
                folded = fold(model, pages, code);
            }
        }
        if (folded > SAME) {
            if (size == 0) word = (Written){.start = (uint32_t)i, .capital = Py_UNICODE_ISUPPER(code) != 0};
            if (size < WORD_CHARS) {
                digits |= (folded >> 31) << size;
                all |= first[size] = folded & ~DIGIT;
                sums[size + 1] = sums[size] + (first[size] + (uint64_t)1) * model->powers[size];
            }
            size++;
        } else if (folded == SPACE && size > 0) {
            size_t length = size < WORD_CHARS ? size : WORD_CHARS;
            uint32_t *term = first, *next = first + length;
            word.end = (uint32_t)end;
            word.in_body = (uint8_t)in_body;
            word.marker = (uint8_t)is_marker(first, size);
            if (!are_set(digits, length)) length = all < 128 ? english(term, length) : stem(&term, length, 0);
            word.latin = all < 128 || is_ascii(term, length); /* an Arabic prefix may go before it */
            word.number = (uint8_t)are_set(digits >> (term - first), length);
            word.sum = sum_of_part(model, sums, (size_t)(term - first), length - 1);
            word.place = model->powers[length - 1];
            all = 0;
            first = next;
            word.letters = term;
            word.length = (uint32_t)length;
            written[found++] = word;
            size = 0;
            digits = 0;
        }
    }
    *letters = first;
    return found;
}

static size_t read_words(const Model *model, Text text, int in_body, size_t most, uint32_t **letters, Written *written) {
    /* One copy of the loop for each width of character. */
    if (text.kind == 1) return read_some(model, (Text){text.data, text.length, 1}, in_body, most, letters, written);
    if (text.kind == 2) return read_some(model, (Text){text.data, text.length, 2}, in_body, most, letters, written);
    return read_some(model, (Text){text.data, text.length, 4}, in_body, most, letters, written);
}

/* Endings that a Latin term may have lost, in the order in which the alphabet has the words. */
static const struct {
    const char *letters;
    size_t length;
} ENDINGS[ORIGINS] = {{"ies", 3}, {"", 0}, {"ed", 2}, {"es", 2}, {"ing", 3}, {"s", 1}};
enum { IES, NOTHING, ED, ES, ING, S };

/* A word that a term came of: `kept` letters of the term and an ending. `word` is where it is being looked for. */
typedef struct {
    const uint32_t *letters;
    size_t kept;
    uint32_t key, ending;
    Word word;
} Origin;

/* Whether `english` makes this term of the word with this ending: the term with it, or for -ies without its y. */
INLINE int loses(const uint32_t *term, size_t length, int ending) {
    uint32_t last = term[length - 1];
    switch (ending) {
    case IES: return last == 'y' && length > 1;
    case NOTHING: return english_length(term, length) == length;
    case ED: case ING: return length > 3;
    case ES: return length > 3 && last != 'i';
    default: /* -s, but for what loses -ies or -es */
        if (last == 'e' && (length > 4 || (length > 1 && term[length - 2] == 'i'))) return 0;
        return length > 2 && last != 's';
    }
}

/* The words that become the term of a key; returns how many. A Latin one may be of several, any other is of itself, if
   it is a whole stem. */
static size_t find_origins(const Model *model, const Key *key, uint32_t number, Origin *origins) {
    const uint32_t *letters = key->first->letters;
    size_t length = key->first->length, found = 0;
    if (!key->first->latin && !is_stem(letters, length)) return 0;
    for (int ending = key->first->latin ? 0 : NOTHING; ending < (key->first->latin ? ORIGINS : NOTHING + 1); ending++) {
        if (key->first->latin && !loses(letters, length, ending)) continue;
        uint64_t sum = key->first->sum, place = key->first->place;
        if (ending != IES) {
            sum += (letters[length - 1] + (uint64_t)1) * place;
            place *= BASE;
        }
        for (size_t i = 0; i < ENDINGS[ending].length; i++, place *= BASE)
            sum += ((uint64_t)ENDINGS[ending].letters[i] + 1) * place;
        uint64_t hash = mix(sum);
        size_t kept = length - (ending == IES);
        FETCH(&model->word_slots[hash & model->word_mask]);
        Word word = {hash, 0, 0, 0, (uint32_t)(kept + ENDINGS[ending].length), NONE, hash & model->word_mask, 0};
        origins[found++] = (Origin){letters, kept, number, (uint32_t)ending, word};
    }
    return found;
}

INLINE uint64_t hash_of_term(const Written *word) {
    return mix(word->sum + (word->letters[word->length - 1] + (uint64_t)1) * word->place);
}

INLINE int is_origin(const Model *model, const Origin *origin) {
    size_t kept = origin->kept, added = ENDINGS[origin->ending].length;
    const uint32_t *known = letters_of(model, origin->word.number, kept + added);
    return known != NULL && memcmp(known, origin->letters, kept * sizeof(uint32_t)) == 0 &&
           is_same(known + kept, added, ENDINGS[origin->ending].letters, added);
}

/* models.keyterms.share_terms of so many keys, together: most of their words are far away in memory. */
static void find_shares(const Model *model, Key *keys, size_t count) {
    Origin origins[TOGETHER * ORIGINS];
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += find_origins(model, &keys[i], (uint32_t)i, &origins[found]);
    }
    for (size_t i = 0; i < found; i++) {
        Word *word = &origins[i].word;
        word->number = next_word(model, word);
        if (word->number < model->word_size) FETCH(model->words + word->number);
    }
    for (size_t i = 0; i < found; i++) {
        Word *word = &origins[i].word;
        while (word->number != NONE && !is_origin(model, &origins[i])) word->number = next_word(model, word);
        word->number = word->number != NONE ? model->words[word->number] : NONE;
        if (word->number < model->terms) FETCH(row_at(model, word->number));
    }
    for (size_t i = 0; i < found; i++) { /* the share of documents with this very word, 0 where it is not counted */
        uint32_t row = origins[i].word.number;
        if (row >= model->terms) continue;
        double share = exp(1 - row_at(model, row)->idf), *sum = &keys[origins[i].key].share;
        *sum += share < 1 ? share : 1;
        if (!(*sum < 1)) *sum = 1;
    }
}

/* Any number's share of its length class: the zeros stand for it in the vocabulary. */
static double share_of_numbers(const Model *model, size_t length) {
    static const uint32_t ZERO[ZEROS] = {'0', '0', '0', '0', '0'};
    Written word = {.letters = ZERO, .place = model->powers[length - 1], .length = (uint32_t)length, .latin = 1};
    for (size_t i = 0; i + 1 < length; i++) word.sum += (ZERO[i] + (uint64_t)1) * model->powers[i];
    Key zeros = {.first = &word};
    find_shares(model, &zeros, 1);
    return zeros.share * NUMBERS[length - 1];
}

/* Sum up the words; returns the number of keys. `mask` is that of `seen`, which has room for twice the words. */
static size_t find_keys(const Reading *reading, size_t words, size_t mask) {
    size_t keys = 0, head = 0;
    while (head < words && !reading->written[head].in_body) head++;
    if (head == 0) head = words < TITLE ? words : TITLE;
    for (size_t i = 0; i < words; i++) {
        const Written *word = &reading->written[i];
        if (word->marker || (word->length == 1 && !word->number)) continue;
        uint64_t hash = hash_of_term(word);
        size_t slot = hash & mask;
        Key *key = NULL;
        for (; reading->seen[slot] != 0; slot = (slot + 1) & mask) {
            Key *other = &reading->keys[reading->seen[slot] - 1];
            if (other->hash == hash && other->first->length == word->length &&
                memcmp(other->first->letters, word->letters, word->length * sizeof(uint32_t)) == 0) {
                key = other;
                break;
            }
        }
        if (key == NULL) {
            key = &reading->keys[keys++];
            reading->seen[slot] = (uint32_t)keys;
            *key = (Key){.hash = hash, .first = word};
        }
        key->count += i < head ? 3 : i < head + LEAD ? 2 : 1;
        key->common |= !word->capital;
    }
    return keys;
}

static void weigh(const Model *model, Key *keys, size_t count, int known) {
    for (size_t i = 0; known && i < count; i += TOGETHER)
        find_shares(model, keys + i, count - i < TOGETHER ? count - i : TOGETHER);
    for (size_t i = 0; i < count; i++) {
        Key *key = &keys[i];
        const Written *word = key->first;
        if (known && word->number && key->share == 0)
            key->share = share_of_numbers(model, word->length < ZEROS ? word->length : ZEROS);
        if (word->number || !key->common) key->count *= NAME;
        double halves = 2 * key->count, often = halves < LOGS ? model->log_half[(int)halves] : log(key->count);
        key->weight = (1 + often) * log(key->share > 0 ? key->share : RAREST);
    }
}

/* Whether a says more than b: the rarer a term, the lower its logarithm. */
INLINE int says_more(const Key *a, const Key *b) {
    if (a->weight != b->weight) return a->weight < b->weight;
    size_t length = a->first->length < b->first->length ? a->first->length : b->first->length;
    for (size_t i = 0; i < length; i++)
        if (a->first->letters[i] != b->first->letters[i]) return a->first->letters[i] < b->first->letters[i];
    return a->first->length < b->first->length;
}

/* The keys that say most, those first; returns how many, at most `most`. */
static size_t choose(const Key *keys, size_t count, size_t most, const Key **chosen) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const Key *key = &keys[i];
        if (found == most && (most == 0 || !says_more(key, chosen[most - 1]))) continue;
        size_t place = 0;
        for (size_t left = found; left > 0; left /= 2) /* halves that nobody can foresee: moves, not branches */
            place += chosen[place + left / 2]->weight < key->weight ? left - left / 2 : 0;
        while (place < found && !says_more(key, chosen[place])) place++;
        if (found < most) found++;
        memmove(chosen + place + 1, chosen + place, (found - 1 - place) * sizeof *chosen);
        chosen[place] = key;
    }
    return found;
}

/* One key as JSON: the term, its spelling without what folding deletes, its frequency and its share; returns the end. */
static char *write_key(const Model *model, const Reading *reading, const Key *key, char *out) {
    const Written *word = key->first;
    Text text = reading->text[word->in_body];
    Pages pages = pages_of(model);
    size_t length = 0;
    out = write_text(out, "[\"");
    for (size_t i = 0; i < word->length; i++) out = write_code(out, word->letters[i]);
    out = write_text(out, "\",\"");
    for (size_t i = word->start; i < word->end && length < SPELLING; i++) {
        uint32_t code = read_at(text.data, text.kind, i);
        if (fold(model, pages, code) == DELETED) continue;
        out = write_code(out, code);
        length++;
    }
    out = write_text(out, "\",");
    out = write_halves(out, (uint32_t)(key->count * 2));
    *out++ = ',';
    out = write_millionths(out, (uint32_t)floor(key->share * 1e6 + 0.5));
    *out++ = ']';
    return out;
}

PyObject *key_terms(Model *model, PyObject *args) {
    PyObject *title, *body, *result = NULL;
    Py_ssize_t most;
    int known;
    if (!PyArg_ParseTuple(args, "OOnp", &title, &body, &most, &known)) return NULL;
    Reading reading = {0};
    size_t longest = model->longest < LONGEST ? model->longest : LONGEST;
    if (text_of(title, longest, &reading.text[0]) < 0 || text_of(body, longest, &reading.text[1]) < 0) return NULL;
    size_t codes = reading.text[0].length + reading.text[1].length, most_words = codes / 2 + 2, slots = 8;
    while (slots < 2 * most_words) slots *= 2;
    reading.letters = PyMem_Malloc((codes + 1) * sizeof(uint32_t));
    reading.written = PyMem_Malloc(most_words * sizeof(Written));
    reading.keys = PyMem_Malloc(most_words * sizeof(Key));
    reading.chosen = PyMem_Malloc(most_words * sizeof(Key *));
    reading.seen = PyMem_Calloc(slots, sizeof(uint32_t));
    if (reading.letters == NULL || reading.written == NULL || reading.keys == NULL || reading.chosen == NULL ||
        reading.seen == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    uint32_t *letters = reading.letters;
    size_t words = read_words(model, reading.text[0], 0, TITLE_READ, &letters, reading.written);
    words += read_words(model, reading.text[1], 1, READ, &letters, reading.written + words);
    size_t keys = find_keys(&reading, words, slots - 1);
    weigh(model, reading.keys, keys, known);
    size_t room = most < 0 ? 0 : (size_t)most < keys ? (size_t)most : keys;
    keys = choose(reading.keys, keys, room, reading.chosen);
    reading.json = PyMem_Malloc(keys * KEY_JSON + 2);
    if (reading.json == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    char *out = write_text(reading.json, "[");
    for (size_t i = 0; i < keys; i++) {
        if (i > 0) *out++ = ',';
        out = write_key(model, &reading, reading.chosen[i], out);
    }
    *out++ = ']';
    result = PyBytes_FromStringAndSize(reading.json, out - reading.json);
done:
    PyMem_Free(reading.letters);
    PyMem_Free(reading.written);
    PyMem_Free(reading.keys);
    PyMem_Free(reading.chosen);
    PyMem_Free(reading.json);
    PyMem_Free(reading.seen);
    return result;
}
