#include "core/word.h"

/* see word.h */
void
mm_word_anew(struct mm_word *w)
{
	w->signed_n = 0;
}

/* see word.h */
bool
mm_word_take(struct mm_word *w, const struct mm_status_rep *rep,
    uint64_t known_n)
{
	if (rep->journal_n < known_n)
		w->signed_n = rep->journal_n;
	if (rep->issuing == 0 && rep->journal_n < w->signed_n)
		return false;
	w->status = *rep;
	return true;
}

/* see word.h; the status is right again when the next one comes */
bool
mm_word_signed(struct mm_word *w, uint64_t journal_n)
{
	bool over = w->status.issuing == 0 &&
	    w->status.version[0] != '\0' && journal_n > w->status.journal_n;

	if (journal_n > w->signed_n)
		w->signed_n = journal_n;
	if (over) {
		w->status.issuing = 1;
		w->status.why[0] = '\0';
	}
	return over;
}
