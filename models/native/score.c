/* One pass over a text gives its decision values and the terms behind them; the interpreter's lock is released. */

#include "stem.h"

#include <math.h>
#include <string.h>

static const double LEAST = 0.0001; /* weights are given to four digits, as in models/explain.py */

enum { MOST_TERMS = 16 };

typedef struct {
    uint64_t hash, slot, tried;
    uint32_t token; /* of the left word */
    uint32_t row;
} Pair;

enum { SINGLE, PAIR, MARK };

typedef struct {
    double value; /* tf-idf before the norm */
    uint32_t row, count, token;
    uint32_t kind;
} Feature;

typedef struct {
    uint32_t *letters;
    Word *words;
    Pair *pairs;
    Feature *features;
    uint32_t *seen;
    double *sums;
} Scratch;

/* Text -> words, folded, stemmed and hashed. A word is a longest run of characters none of which is a space when
   folded; one that is deleted whole is none. */
INLINE size_t split(const Model *model, const Scratch *scratch, const void *data, int kind, size_t length) {
    uint32_t *first = scratch->letters, *next = first;
    size_t words = 0, start = 0;
    uint32_t digits = DIGIT;
    uint64_t sums[HASHED + 1] = {0};
    Pages pages = pages_of(model);
    for (size_t i = 0; i <= length; i++) {
        uint32_t folded = SPACE;
        if (i < length) {
            folded = fold(model, pages, read_at(data, kind, i));
        }
        if (folded > SAME) {
            size_t place = (size_t)(next - first);
            digits &= folded;
            *next = folded & ~DIGIT;
            if (place < HASHED) sums[place + 1] = sums[place] + (*next + (uint64_t)1) * model->powers[place];
            next++;
        } else if (folded == SPACE) {
            if (next > first) {
                uint32_t *word = first;
                size_t size = stem(&word, (size_t)(next - first), digits != 0);
                uint64_t hash = digits != 0 ? hash_of(word, size)
                                            : mix(sum_of_part(model, sums, (size_t)(word - first), size));
                FETCH(&model->word_slots[hash & model->word_mask]);
                scratch->words[words++] = (Word){hash, (uint32_t)start, (uint32_t)i,
                                                 (uint32_t)(word - scratch->letters), (uint32_t)size, NONE, 0, 0};
                first = next;
                digits = DIGIT;
            }
            start = i + 1;
        }
    }
    return words;
}

INLINE uint32_t next_pair(const Model *model, Pair *pair) {
    return next_entry(model->pair_slots, model->pair_mask, pair->hash, &pair->slot, &pair->tried);
}

INLINE int is_pair(const Model *model, uint32_t row, uint32_t left, uint32_t right) {
    return row < model->terms && row_at(model, row)->left == left && row_at(model, row)->right == right;
}

/* Count `row`; `seen` is open addressing over the features by row, entry is feature + 1. */
INLINE size_t count(const Model *model, const Scratch *scratch, size_t features, size_t mask, uint32_t row,
                    uint32_t token, uint32_t kind) {
    size_t slot = (row * 2654435761u >> 7) & mask;
    while (scratch->seen[slot] != 0) {
        Feature *feature = &scratch->features[scratch->seen[slot] - 1];
        if (feature->row == row) {
            feature->count++;
            return features;
        }
        slot = (slot + 1) & mask;
    }
    FETCH(row_at(model, row));
    scratch->seen[slot] = (uint32_t)features + 1;
    scratch->features[features] = (Feature){0, row, 1, token, kind};
    return features + 1;
}

/* The features; `unknown` is the number of words that are no term. */
INLINE size_t find_terms(const Model *model, const Scratch *scratch, size_t words, const uint32_t *marks,
                         size_t mark_length, size_t *unknown) {
    size_t mark_count = 0, features = 0, pairs = 0, known = 0, size = 8;
    for (size_t i = 0; i < mark_length; i++) mark_count += marks[i] == '\n';
    while (size < 2 * (2 * words + mark_count)) size *= 2;
    memset(scratch->seen, 0, size * sizeof(uint32_t));
    size_t mask = size - 1;
    for (size_t i = 0; i < words; i++) {
        Word *word = &scratch->words[i];
        word->slot = word->hash & model->word_mask;
        word->number = next_word(model, word);
        if (word->number < model->word_size) FETCH(model->words + word->number);
    }
    for (size_t i = 0; i < words; i++) {
        Word *word = &scratch->words[i];
        const uint32_t *letters = scratch->letters + word->letter;
        while (word->number != NONE && !is_word(model, word->number, letters, word->length)) {
            word->number = next_word(model, word);
        }
        if (word->number == NONE) continue;
        uint32_t row = model->words[word->number];
        if (row < model->terms) features = count(model, scratch, features, mask, row, (uint32_t)i, SINGLE), known++;
        if (i == 0 || word[-1].number == NONE) continue;
        uint64_t hash = mix((uint64_t)word[-1].number << 32 | word->number);
        FETCH(&model->pair_slots[hash & model->pair_mask]);
        scratch->pairs[pairs++] = (Pair){hash, hash & model->pair_mask, 0, (uint32_t)i - 1, NONE};
    }
    for (size_t i = 0; i < pairs; i++) {
        Pair *pair = &scratch->pairs[i];
        pair->row = next_pair(model, pair);
        if (pair->row < model->terms) FETCH(row_at(model, pair->row));
    }
    for (size_t i = 0; i < pairs; i++) {
        Pair *pair = &scratch->pairs[i];
        const Word *word = &scratch->words[pair->token];
        while (pair->row != NONE && !is_pair(model, pair->row, word[0].number, word[1].number)) {
            pair->row = next_pair(model, pair);
        }
        if (pair->row != NONE) features = count(model, scratch, features, mask, pair->row, pair->token, PAIR);
    }
    *unknown = words - known;
    size_t start = 0;
    for (size_t i = 0; i < mark_length; i++) {
        if (marks[i] != '\n') continue;
        uint64_t hash = hash_of(marks + start, i - start);
        Word mark = {hash, 0, 0, 0, 0, NONE, hash & model->word_mask, 0};
        do mark.number = next_word(model, &mark);
        while (mark.number != NONE && !is_word(model, mark.number, marks + start, i - start));
        uint32_t row = mark.number != NONE ? model->words[mark.number] : NONE;
        if (row < model->terms) features = count(model, scratch, features, mask, row, 0, MARK);
        start = i + 1;
    }
    return features;
}

/* The sums of the weights, into `sums`; returns that of the squared values. */
INLINE double add_up(const Model *model, const Scratch *scratch, size_t features, double *sums, size_t groups) {
    double squares = 0;
    for (size_t c = 0; c < 4 * groups; c++) sums[c] = 0;
    for (size_t i = 0; i < features; i++) {
        Feature *feature = &scratch->features[i];
        const Row *row = row_at(model, feature->row);
        double tf = feature->count < LOGS ? model->log_plus_one[feature->count] : 1 + log((double)feature->count);
        double value = tf * row->idf;
        feature->value = value;
        squares += value * value;
        for (size_t group = 0; group < groups; group++) {
            double *sum = sums + 4 * group;
            const float *weight = row->weight + 4 * group;
            for (int c = 0; c < 4; c++) sum[c] += value * (double)weight[c];
        }
    }
    return squares;
}

/* Decision values, and the norm of the tf-idf row (0 without a known term). */
static double decide(const Model *model, const Scratch *scratch, size_t features, double *decision) {
    size_t classes = model->classes, groups = (classes + 3) / 4;
    double squares, few[8], *sums = scratch->sums;
    if (groups == 1) { /* four and eight sums stay in registers */
        squares = add_up(model, scratch, features, sums = few, 1);
    } else if (groups == 2) {
        squares = add_up(model, scratch, features, sums = few, 2);
    } else {
        squares = add_up(model, scratch, features, sums, groups);
    }
    double norm = sqrt(squares);
    for (size_t c = 0; c < classes; c++) decision[c] = (norm > 0 ? sums[c] / norm : 0) + model->intercept[c];
    return norm;
}

/* A term of a text: where its left and its right word stand (-1 for none), how far it moved the decision. */
typedef struct {
    double moved;
    int32_t left_start, left_end, right_start, right_end;
} Shown;

/* The terms that moved the decision most towards the best class and away from the second, strongest first; returns
   how many. */
static size_t explain(const Model *model, const Scratch *scratch, size_t features, const double *decision, double norm,
                      size_t most, Shown *shown) {
    size_t best = 0, second = 0, found = 0;
    uint32_t chosen[MOST_TERMS];
    if (most == 0) return 0;
    if (model->classes > 1) {
        for (size_t c = 1; c < model->classes; c++)
            if (decision[c] > decision[best]) best = c;
        second = best == 0;
        for (size_t c = 0; c < model->classes; c++)
            if (c != best && decision[c] > decision[second]) second = c;
    }
    for (size_t i = 0; i < features; i++) {
        const Feature *feature = &scratch->features[i];
        if (feature->kind == MARK) continue;
        const Row *row = row_at(model, feature->row);
        float weight = model->classes > 1 ? row->weight[best] - row->weight[second] : row->weight[0];
        if (!(weight > 0)) continue; /* saves half of the divisions: idf is positive, and so is every value */
        double by = feature->value / norm * (double)weight;
        if (!(by >= LEAST)) continue;
        size_t place = found < most ? found++ : most;
        while (place > 0 && (by > shown[place - 1].moved ||
                             (by == shown[place - 1].moved &&
                              feature->row < scratch->features[chosen[place - 1]].row))) {
            place--;
        }
        if (place >= most) continue;
        for (size_t j = found - 1; j > place; j--) shown[j] = shown[j - 1], chosen[j] = chosen[j - 1];
        shown[place].moved = by;
        chosen[place] = (uint32_t)i;
    }
    for (size_t j = 0; j < found; j++) {
        const Feature *feature = &scratch->features[chosen[j]];
        const Word *word = &scratch->words[feature->token];
        int pair = feature->kind == PAIR;
        shown[j] = (Shown){shown[j].moved, (int32_t)word->start, (int32_t)word->end,
                           pair ? (int32_t)word[1].start : -1, pair ? (int32_t)word[1].end : -1};
    }
    return found;
}

static size_t words_of(const Model *model, const Scratch *scratch, Text text) {
    /* One copy of the loop for each width of character. */
    if (text.kind == 1) return split(model, scratch, text.data, 1, text.length);
    if (text.kind == 2) return split(model, scratch, text.data, 2, text.length);
    return split(model, scratch, text.data, 4, text.length);
}

static int allocate(Scratch *scratch, size_t length, size_t mark_length, size_t classes) {
    size_t words = length / 2 + 1, features = 2 * words + mark_length, seen = 8;
    while (seen < 2 * features) seen *= 2;
    /* One by one, so that AddressSanitizer sees where each ends. */
    scratch->letters = PyMem_RawMalloc((length + mark_length) * sizeof(uint32_t));
    scratch->words = PyMem_RawMalloc(words * sizeof(Word));
    scratch->pairs = PyMem_RawMalloc(words * sizeof(Pair));
    scratch->features = PyMem_RawMalloc(features * sizeof(Feature));
    scratch->seen = PyMem_RawMalloc(seen * sizeof(uint32_t));
    scratch->sums = PyMem_RawMalloc((classes + 3) / 4 * 4 * sizeof(double));
    return scratch->letters != NULL && scratch->words != NULL && scratch->pairs != NULL &&
                   scratch->features != NULL && scratch->seen != NULL && scratch->sums != NULL
               ? 0
               : -1;
}

static void release(Scratch *scratch) {
    PyMem_RawFree(scratch->letters);
    PyMem_RawFree(scratch->words);
    PyMem_RawFree(scratch->pairs);
    PyMem_RawFree(scratch->features);
    PyMem_RawFree(scratch->seen);
    PyMem_RawFree(scratch->sums);
}
/* The words of a term as the text writes them, a space between two. */
static PyObject *surface(PyObject *text, const Shown *shown) {
    PyObject *left = PyUnicode_Substring(text, shown->left_start, shown->left_end);
    if (left == NULL || shown->right_start < 0) return left;
    PyObject *right = PyUnicode_Substring(text, shown->right_start, shown->right_end);
    PyObject *both = right != NULL ? PyUnicode_FromFormat("%U %U", left, right) : NULL;
    Py_DECREF(left);
    Py_XDECREF(right);
    return both;
}

/* round(value, 4), as Python rounds. */
static PyObject *rounded(double value) {
    char *digits = PyOS_double_to_string(value, 'f', 4, 0, NULL);
    if (digits == NULL) return NULL;
    value = PyOS_string_to_double(digits, NULL, NULL);
    PyMem_Free(digits);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(value);
}

/* A models.explain.Term, which is a tuple. */
static PyObject *term_of(PyTypeObject *type, PyObject *text, const Shown *shown) {
    PyObject *word = surface(text, shown), *by = rounded(shown->moved), *term = NULL;
    PyObject *args = word != NULL && by != NULL ? Py_BuildValue("((OO))", word, by) : NULL;
    if (args != NULL) term = PyTuple_Type.tp_new(type, args, NULL);
    Py_XDECREF(args);
    Py_XDECREF(word);
    Py_XDECREF(by);
    return term;
}

static PyObject *terms_of(PyTypeObject *type, PyObject *text, const Shown *shown, size_t found) {
    PyObject *terms = PyList_New((Py_ssize_t)found);
    for (size_t j = 0; terms != NULL && j < found; j++) {
        PyObject *term = term_of(type, text, &shown[j]);
        if (term == NULL) Py_CLEAR(terms);
        else PyList_SET_ITEM(terms, (Py_ssize_t)j, term);
    }
    return terms;
}

PyObject *score(Model *model, PyObject *args) {
    PyObject *texts, *marks, *result = NULL;
    PyTypeObject *type;
    Py_buffer out[2]; /* decision; counts of words, of terms and of unknown words */
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "O!O!w*w*nO!", &PyTuple_Type, &texts, &PyTuple_Type, &marks, &out[0], &out[1], &most,
                          &PyType_Type, &type)) {
        return NULL;
    }
    Text *all = NULL;
    Shown *shown = NULL;
    size_t *found = NULL;
    Scratch scratch = {0};
    size_t n = (size_t)PyTuple_GET_SIZE(texts);
    if ((size_t)PyTuple_GET_SIZE(marks) != n || (size_t)out[0].len != n * model->classes * sizeof(double) ||
        (size_t)out[1].len != n * 3 * sizeof(int64_t) || most < 0 || most > MOST_TERMS ||
        !PyType_IsSubtype(type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_ValueError, "texts, marks and results do not fit one another");
        goto done;
    }
    all = PyMem_New(Text, 2 * n + 1);
    shown = PyMem_New(Shown, n * (size_t)most + 1);
    found = PyMem_New(size_t, n + 1);
    if (all == NULL || shown == NULL || found == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    size_t length = 0, mark_length = 0;
    for (size_t i = 0; i < n; i++) {
        if (text_of(PyTuple_GET_ITEM(texts, (Py_ssize_t)i), model->longest, &all[2 * i]) < 0) goto done;
        if (text_of(PyTuple_GET_ITEM(marks, (Py_ssize_t)i), model->longest, &all[2 * i + 1]) < 0) goto done;
        if (all[2 * i].length > length) length = all[2 * i].length;
        if (all[2 * i + 1].length > mark_length) mark_length = all[2 * i + 1].length;
    }
    if (allocate(&scratch, length, mark_length, model->classes) < 0) {
        PyErr_NoMemory();
        goto done;
    }
    double *decision = out[0].buf;
    int64_t *counts = out[1].buf;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < n; i++) {
        Text text = all[2 * i], marked = all[2 * i + 1];
        size_t words = words_of(model, &scratch, text);
        uint32_t *mark = scratch.letters + length;
        for (size_t j = 0; j < marked.length; j++) mark[j] = read_at(marked.data, marked.kind, j);
        size_t unknown, features = find_terms(model, &scratch, words, mark, marked.length, &unknown);
        double norm = decide(model, &scratch, features, decision);
        found[i] = explain(model, &scratch, features, decision, norm, (size_t)most, shown + i * (size_t)most);
        counts[0] = (int64_t)words;
        counts[1] = (int64_t)features;
        counts[2] = (int64_t)unknown;
        decision += model->classes, counts += 3;
    }
    Py_END_ALLOW_THREADS
    result = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; result != NULL && i < n; i++) {
        PyObject *text = PyTuple_GET_ITEM(texts, (Py_ssize_t)i);
        PyObject *terms = terms_of(type, text, shown + i * (size_t)most, found[i]);
        if (terms == NULL) Py_CLEAR(result);
        else PyList_SET_ITEM(result, (Py_ssize_t)i, terms);
    }
done:
    release(&scratch);
    PyMem_Free(all);
    PyMem_Free(shown);
    PyMem_Free(found);
    PyBuffer_Release(&out[0]);
    PyBuffer_Release(&out[1]);
    return result;
}
