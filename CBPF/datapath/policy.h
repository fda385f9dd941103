/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Judging a packet by a policy set: the first bit that the vectors of all its classes and that of the live rules have
 * in common is the rule that decides. layout/policy.h tells how sets are laid out. Whatever is not as it should be
 * denies.
 */
#ifndef MARTLET_POLICY_H
#define MARTLET_POLICY_H

#include "counter.h"
#include "policy_class.h"

/* One vector, as far as the search has come. */
struct policy_vector {
	__u64 summary; /* the word of its summary that is being looked at */
	__u32 offset;  /* in `policy_words` */
	__u32 words;   /* offset of the first word that `summary` speaks of */
};

#define POLICY_VECTORS_MAX (POLICY_DIMENSION_COUNT + 1)

struct policy_search {
	struct policy_vector vectors[POLICY_VECTORS_MAX];
	__u64 candidates; /* bits of the summary word: words that may have a bit in common from `from` on */
	__u64 decision;	  /* the deciding rule's word, 0: none yet */
	__u32 count;	  /* of vectors */
	__u32 summary;	  /* words of the summary that have been looked at */
	__u32 from;	  /* rules before this one no longer count */
	__u32 rules;	  /* offset of the rules' words */
};

/* Decides in place of a rule that cannot be read. */
#define POLICY_UNREADABLE ((__u64)POLICY_DENY << POLICY_RULE_ACTION_SHIFT)

/* Each step of a search looks at a word of the summary, at a word, or passes a rule by. */
#define POLICY_STEPS_MAX (POLICY_RULES_MAX + POLICY_RULES_MAX / 64 + POLICY_SUMMARY_WORDS + 1)

/* Working memory: the packet in hand, and the search that its policy is found by. */
struct policy_scratch {
	struct policy_subject subject;
	struct policy_search search;
	struct host_endpoint host; /* of an interface that the packet crosses */
	struct flow_tuple partner; /* key of the other half of a flow that is judged again */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_scratch);
} policy_scratches SEC(".maps");

static __always_inline struct policy_scratch *current_policy_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&policy_scratches, &zero);
}

static __always_inline const __u64 *policy_word(__u32 index)
{
	return bpf_map_lookup_elem(&policy_words, &index);
}

static __always_inline const struct policy_header *find_header(__u32 set, __u32 version)
{
	struct policy_set *found = bpf_map_lookup_elem(&policy_sets, &set);
	__u32 header = found ? found->versions[version & (POLICY_VERSIONS - 1)] : 0;

	return set && header ? bpf_map_lookup_elem(&policy_headers, &header) : NULL;
}

static __always_inline int add_vector(struct policy_search *search, __u32 offset)
{
	__u32 count = search->count;

	if (count >= POLICY_VECTORS_MAX)
		return -1;
	search->vectors[count] = (struct policy_vector){
		.offset = offset,
		.words = offset + POLICY_SUMMARY_WORDS,
	};
	search->count = count + 1;
	return 0;
}

/* The vector of the subject's class in this dimension. */
static __always_inline int add_class(struct policy_search *search, const struct policy_header *header,
				     struct policy_subject *subject, __u32 dimension)
{
	__u32 class = policy_class(subject, dimension);
	const __u64 *offset;

	if (class >= header->classes[dimension])
		return add_vector(search, header->fallback[dimension]);
	offset = policy_word(header->tables[dimension] + class);
	return offset ? add_vector(search, *offset) : -1;
}

static __always_inline int begin_search(struct policy_search *search, const struct policy_header *header,
					struct policy_subject *subject)
{
	__u32 dimensions = header->dimensions, i;

	search->candidates = search->decision = 0;
	search->count = search->summary = search->from = 0;
	search->rules = header->rules;
	if (add_vector(search, header->live[subject->family == 6]))
		return -1;
	for (i = 0; i < POLICY_DIMENSION_COUNT; i++)
		if (dimensions & 1U << i && add_class(search, header, subject, i))
			return -1;
	return 0;
}

/* Leaves no candidate of which all rules are before `from`. */
static __always_inline void skip_candidates(struct policy_search *search)
{
	__u32 first = search->from / 64, base = (search->summary - 1) * 64;

	if (first >= base + 64)
		search->candidates = 0;
	else if (first > base)
		search->candidates &= ~0ULL << (first - base);
}

/* Goes on to the next word of the summary. 1: there is none. */
static __always_inline int next_summary(struct policy_search *search)
{
	__u64 common = ~0ULL;
	__u32 i;

	if (search->summary >= POLICY_SUMMARY_WORDS)
		return 1;
	for (i = 0; i < POLICY_VECTORS_MAX && i < search->count; i++) {
		struct policy_vector *vector = &search->vectors[i];
		const __u64 *word = policy_word(vector->offset + search->summary);

		if (!word) {
			search->decision = POLICY_UNREADABLE;
			return 1;
		}
		vector->words += __builtin_popcountll(vector->summary);
		vector->summary = *word;
		common &= *word;
	}
	search->candidates = common;
	search->summary++;
	skip_candidates(search);
	return 0;
}

/* The bits that the vectors have in common in the word that is bit `bit` of the summary's. */
static __always_inline __u64 common_bits(struct policy_search *search, __u32 bit)
{
	__u64 common = ~0ULL, below = (1ULL << (bit & 63)) - 1;
	__u32 i;

	for (i = 0; i < POLICY_VECTORS_MAX && i < search->count && common; i++) {
		struct policy_vector *vector = &search->vectors[i];
		const __u64 *word = policy_word(vector->words + __builtin_popcountll(vector->summary & below));

		if (!word) {
			search->decision = POLICY_UNREADABLE;
			return 0;
		}
		common &= *word;
	}
	return common;
}

/* Does what the rule at `position` says. 1: it decides. */
static __always_inline int apply_rule(struct policy_search *search, __u32 position)
{
	const __u64 *rule = policy_word(search->rules + position);
	__u32 next = position + 1;

	if (!rule)
		goto unreadable;
	switch (*rule >> POLICY_RULE_ACTION_SHIFT & 0xff) {
	case POLICY_LOG:
		count_event(COUNTER_POLICY_LOGGED);
		break;
	case POLICY_PASS:
		next = *rule & POLICY_RULE_NEXT_MASK;
		if (next <= position)
			goto unreadable;
		break;
	case POLICY_ALLOW:
	case POLICY_DENY:
	case POLICY_REJECT:
		search->decision = *rule;
		return 1;
	default:
		goto unreadable;
	}
	search->from = next;
	skip_candidates(search);
	return 0;
unreadable:
	search->decision = POLICY_UNREADABLE;
	return 1;
}

/* Looks at the next candidate. 1: the search is over. */
static __always_inline int next_word(struct policy_search *search)
{
	__u32 bit = __builtin_ctzll(search->candidates), word = (search->summary - 1) * 64 + bit;
	__u64 common = common_bits(search, bit);

	if (search->decision)
		return 1;
	if (word == search->from / 64)
		common &= ~0ULL << (search->from & 63);
	if (common)
		return apply_rule(search, word * 64 + __builtin_ctzll(common));
	search->candidates &= search->candidates - 1;
	return 0;
}

struct policy_search_context {
	struct policy_search *search;
};

static long search_step(__u64 step, struct policy_search_context *context)
{
	return context->search->candidates ? next_word(context->search) : next_summary(context->search);
}

/*
 * Judges the subject by a set: enum policy_action, or 0 where no rule matches and the set leaves it to the next stage.
 * `subject->rule` is the rule that decided.
 */
__noinline int judge(struct policy_subject *subject, __u32 set)
{
	struct policy_scratch *scratch = current_policy_scratch();
	const struct policy_header *header = subject ? find_header(set, subject->version) : NULL;
	struct policy_search_context context;
	__u64 decision;

	if (!subject || !scratch)
		return POLICY_DENY;
	subject->rule = 0;
	if (!header || begin_search(&scratch->search, header, subject))
		return POLICY_DENY;
	context.search = &scratch->search;
	if (bpf_loop(POLICY_STEPS_MAX, search_step, &context, 0) >= POLICY_STEPS_MAX)
		return POLICY_DENY;
	decision = scratch->search.decision;
	if (!decision)
		return header->unmatched;
	subject->rule = decision >> POLICY_RULE_ID_SHIFT;
	return decision >> POLICY_RULE_ACTION_SHIFT & 0xff;
}

#endif
