--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: balances_check_max(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.balances_check_max() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE cap bigint;
BEGIN
  SELECT max_balance INTO cap FROM currencies
    WHERE project_id = NEW.project_id AND id = NEW.currency_id FOR SHARE;
  IF NEW.balance > cap THEN
    RAISE EXCEPTION 'balance % is above max_balance %', NEW.balance, cap
      USING ERRCODE = 'check_violation', CONSTRAINT = 'balances_within_max_balance', TABLE = 'balances';
  END IF;
  RETURN NULL;
END $$;


--
-- Name: currencies_check_max(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.currencies_check_max() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'max_balance can be lowered in a READ COMMITTED transaction only'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'currencies_max_balance_covers_balances', TABLE = 'currencies';
  END IF;
  IF EXISTS (SELECT FROM balances
      WHERE project_id = NEW.project_id AND currency_id = NEW.id AND balance > NEW.max_balance) THEN
    RAISE EXCEPTION 'a balance stands above the new max_balance %', NEW.max_balance
      USING ERRCODE = 'check_violation', CONSTRAINT = 'currencies_max_balance_covers_balances', TABLE = 'currencies';
  END IF;
  RETURN NULL;
END $$;


--
-- Name: refuse_change(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;


--
-- Name: reward_is_valid(json); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.reward_is_valid(reward json) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $_$
  WITH single AS (SELECT coalesce(json_typeof(reward -> 'currency') = 'string', false) AS yes),
  items AS (
    SELECT key AS code, value AS amount FROM json_each(reward) WHERE NOT (SELECT yes FROM single)
    UNION ALL
    SELECT reward ->> 'currency', reward -> 'amount' FROM single WHERE yes
  )
  SELECT count(*) <= 10 AND count(DISTINCT code) = count(*)
     AND coalesce(bool_and(code ~ '^[A-Za-z][A-Za-z0-9_-]{0,31}$'
       AND CASE WHEN json_typeof(amount) = 'number' AND amount::text ~ '^[1-9][0-9]{0,15}$'
                THEN amount::text::bigint <= 9007199254740991 ELSE false END), true)
     AND (NOT (SELECT yes FROM single) OR (SELECT count(*) = 2 FROM json_each(reward)))
  FROM items
$_$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: api_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.api_keys (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    key_type text NOT NULL,
    environment text NOT NULL,
    prefix text NOT NULL,
    digest bytea NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT api_keys_digest_is_sha256 CHECK ((octet_length(digest) = 32)),
    CONSTRAINT api_keys_environment_known CHECK ((environment = ANY (ARRAY['development'::text, 'production'::text]))),
    CONSTRAINT api_keys_key_type_known CHECK ((key_type = ANY (ARRAY['client'::text, 'server'::text])))
);


--
-- Name: app_users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.app_users (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    external_id text,
    display_name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    anonymous_id text,
    email text,
    password_hash text,
    avatar_url text,
    properties json DEFAULT '{}'::json NOT NULL,
    timezone text,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT app_users_anonymous_id_format CHECK ((anonymous_id ~ '^anon_[0-9A-Za-z]{20}$'::text)),
    CONSTRAINT app_users_avatar_url_length CHECK ((char_length(avatar_url) <= 2048)),
    CONSTRAINT app_users_display_name_length CHECK (((char_length(display_name) >= 1) AND (char_length(display_name) <= 100))),
    CONSTRAINT app_users_email_normalized CHECK (((email = lower(email)) AND (char_length(email) <= 254))),
    CONSTRAINT app_users_external_id_length CHECK (((char_length(external_id) >= 1) AND (char_length(external_id) <= 255))),
    CONSTRAINT app_users_password_is_hashed CHECK ((password_hash ~ '^\$argon2id\$'::text)),
    CONSTRAINT app_users_password_needs_email CHECK (((password_hash IS NULL) OR (email IS NOT NULL))),
    CONSTRAINT app_users_properties_is_object CHECK ((json_typeof(properties) = 'object'::text)),
    CONSTRAINT app_users_timezone_length CHECK ((char_length(timezone) <= 64))
);


--
-- Name: balances; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.balances (
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    currency_id uuid NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    lifetime_earned bigint DEFAULT 0 NOT NULL,
    lifetime_spent bigint DEFAULT 0 NOT NULL,
    last_entry_no bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT balances_balance_range CHECK (((balance >= 0) AND (balance <= '9007199254740991'::bigint))),
    CONSTRAINT balances_last_entry_no_positive CHECK ((last_entry_no >= 0)),
    CONSTRAINT balances_lifetime_earned_range CHECK (((lifetime_earned >= 0) AND (lifetime_earned <= '9007199254740991'::bigint))),
    CONSTRAINT balances_lifetime_spent_range CHECK (((lifetime_spent >= 0) AND (lifetime_spent <= '9007199254740991'::bigint)))
);


--
-- Name: claim_idempotency_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.claim_idempotency_keys (
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    key text NOT NULL,
    request_digest bytea NOT NULL,
    claim_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT claim_idempotency_keys_digest_is_sha256 CHECK ((octet_length(request_digest) = 32)),
    CONSTRAINT claim_idempotency_keys_key_format CHECK ((key ~ '^[\x21-\x7e]{1,255}$'::text))
);


--
-- Name: currencies; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.currencies (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    description text,
    is_premium boolean DEFAULT false NOT NULL,
    initial_balance bigint DEFAULT 0 NOT NULL,
    max_balance bigint DEFAULT '9007199254740991'::bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT currencies_code_format CHECK ((code ~ '^[A-Za-z][A-Za-z0-9_-]{0,31}$'::text)),
    CONSTRAINT currencies_description_length CHECK ((char_length(description) <= 500)),
    CONSTRAINT currencies_initial_balance_range CHECK (((initial_balance >= 0) AND (initial_balance <= max_balance))),
    CONSTRAINT currencies_max_balance_range CHECK (((max_balance >= 1) AND (max_balance <= '9007199254740991'::bigint))),
    CONSTRAINT currencies_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100)))
);


--
-- Name: currency_transactions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.currency_transactions (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    seq bigint NOT NULL,
    user_id uuid NOT NULL,
    currency_id uuid NOT NULL,
    entry_no bigint NOT NULL,
    requested bigint NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    max_balance bigint NOT NULL,
    transaction_type text NOT NULL,
    source text NOT NULL,
    reference_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT currency_transactions_balance_after_range CHECK (((balance_after >= 0) AND (balance_after <= max_balance))),
    CONSTRAINT currency_transactions_chain_starts_at_zero CHECK (((entry_no > 1) OR (balance_after = amount))),
    CONSTRAINT currency_transactions_credit_clamped_exactly CHECK (((requested < 0) OR (amount = GREATEST((0)::bigint, LEAST(requested, (max_balance - (balance_after - amount))))))),
    CONSTRAINT currency_transactions_debit_applied_exactly CHECK (((requested >= 0) OR (amount = requested))),
    CONSTRAINT currency_transactions_entry_no_positive CHECK ((entry_no >= 1)),
    CONSTRAINT currency_transactions_referral_has_reference CHECK (((source <> 'referral'::text) OR (reference_id IS NOT NULL))),
    CONSTRAINT currency_transactions_source_known CHECK ((source = ANY (ARRAY['event'::text, 'admin'::text, 'store_purchase'::text, 'xp_reward'::text, 'referral'::text, 'system'::text]))),
    CONSTRAINT currency_transactions_type_known CHECK ((transaction_type = ANY (ARRAY['earn'::text, 'spend'::text, 'grant'::text, 'purchase'::text, 'refund'::text, 'recharge'::text])))
);


--
-- Name: currency_transactions_seq_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.currency_transactions ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.currency_transactions_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: identity_providers; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.identity_providers (
    project_id uuid NOT NULL,
    provider text NOT NULL,
    audiences text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT identity_providers_audiences_given CHECK (((cardinality(audiences) >= 1) AND (cardinality(audiences) <= 20))),
    CONSTRAINT identity_providers_provider_known CHECK ((provider = ANY (ARRAY['apple'::text, 'google'::text])))
);


--
-- Name: migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.migrations (
    id integer NOT NULL,
    "timestamp" bigint NOT NULL,
    name character varying NOT NULL
);


--
-- Name: migrations_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.migrations_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: migrations_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.migrations_id_seq OWNED BY public.migrations.id;


--
-- Name: projects; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.projects (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    referral_code_length smallint DEFAULT 8 NOT NULL,
    max_claims_per_user integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT projects_max_claims_per_user_positive CHECK ((max_claims_per_user >= 1)),
    CONSTRAINT projects_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100))),
    CONSTRAINT projects_referral_code_length_range CHECK (((referral_code_length >= 6) AND (referral_code_length <= 16)))
);


--
-- Name: referral_claims; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.referral_claims (
    project_id uuid NOT NULL,
    id uuid NOT NULL,
    referral_code_id uuid NOT NULL,
    referrer_id uuid,
    referee_id uuid NOT NULL,
    reward_referrer json NOT NULL,
    reward_referee json NOT NULL,
    claimed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT referral_claims_not_oneself CHECK ((referrer_id <> referee_id)),
    CONSTRAINT referral_claims_reward_referee_valid CHECK (public.reward_is_valid(reward_referee)),
    CONSTRAINT referral_claims_reward_referrer_valid CHECK (public.reward_is_valid(reward_referrer))
);


--
-- Name: referral_codes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.referral_codes (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid,
    code text NOT NULL,
    code_canonical text GENERATED ALWAYS AS (upper((replace(code, '-'::text, ''::text) COLLATE "C"))) STORED NOT NULL,
    reward_referrer json DEFAULT '{}'::json NOT NULL,
    reward_referee json DEFAULT '{}'::json NOT NULL,
    current_uses integer DEFAULT 0 NOT NULL,
    max_uses integer,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT referral_codes_code_format CHECK (((code ~ '^[A-Za-z0-9_-]{3,32}$'::text) AND (code_canonical <> ''::text))),
    CONSTRAINT referral_codes_max_uses_positive CHECK ((max_uses >= 1)),
    CONSTRAINT referral_codes_reward_referee_valid CHECK (public.reward_is_valid(reward_referee)),
    CONSTRAINT referral_codes_reward_referrer_valid CHECK (public.reward_is_valid(reward_referrer)),
    CONSTRAINT referral_codes_uses_range CHECK (((current_uses >= 0) AND ((max_uses IS NULL) OR (current_uses <= max_uses))))
);


--
-- Name: refresh_tokens; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.refresh_tokens (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    session_id uuid NOT NULL,
    parent_id uuid,
    digest bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT refresh_tokens_digest_is_sha256 CHECK ((octet_length(digest) = 32))
);


--
-- Name: reward_grants; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reward_grants (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    claim_id uuid NOT NULL,
    side text NOT NULL,
    user_id uuid NOT NULL,
    currency_code text NOT NULL,
    amount bigint NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    granted bigint,
    transaction_id uuid,
    attempts integer DEFAULT 0 NOT NULL,
    last_error text,
    next_attempt_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT reward_grants_amount_range CHECK (((amount >= 1) AND (amount <= '9007199254740991'::bigint))),
    CONSTRAINT reward_grants_attempts_positive CHECK ((attempts >= 0)),
    CONSTRAINT reward_grants_failure_has_reason CHECK (((status <> ALL (ARRAY['dead'::text, 'cancelled'::text])) OR (last_error IS NOT NULL))),
    CONSTRAINT reward_grants_granted_has_receipt CHECK ((((status = 'granted'::text) = (transaction_id IS NOT NULL)) AND ((status = 'granted'::text) = (granted IS NOT NULL)))),
    CONSTRAINT reward_grants_granted_range CHECK (((granted >= 0) AND (granted <= amount))),
    CONSTRAINT reward_grants_settled_has_time CHECK (((status = 'pending'::text) = (settled_at IS NULL))),
    CONSTRAINT reward_grants_side_known CHECK ((side = ANY (ARRAY['referrer'::text, 'referee'::text]))),
    CONSTRAINT reward_grants_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'granted'::text, 'dead'::text, 'cancelled'::text])))
);


--
-- Name: sessions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sessions (
    project_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone
);


--
-- Name: user_identities; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.user_identities (
    project_id uuid NOT NULL,
    provider text NOT NULL,
    provider_id text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT user_identities_provider_id_length CHECK (((char_length(provider_id) >= 1) AND (char_length(provider_id) <= 255))),
    CONSTRAINT user_identities_provider_known CHECK ((provider = ANY (ARRAY['apple'::text, 'google'::text])))
);


--
-- Name: migrations id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.migrations ALTER COLUMN id SET DEFAULT nextval('public.migrations_id_seq'::regclass);


--
-- Data for Name: api_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.api_keys VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '65e24de9-a0cd-463a-bc1e-c6248f12c078', 'client', 'development', 'amb_dev_ck_ED4qD', '\x45b7c6a699b1d030e1d0c3ed1db495ea9d225efcc25019b85b81d9c542f8d0db', true, '2026-11-23 10:48:51.742412+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'd5854bf0-f739-46f6-adf1-26d2cecdccf5', 'server', 'development', 'amb_dev_sk_a9tLD', '\xe2e39e8e5a22bef884945514877ad62ff1f5f550f92404e5bb701c14293ed942', true, '2026-11-23 10:48:51.743511+00');


--
-- Data for Name: app_users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.app_users VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '2e2e7508-e2a5-45a6-8e5e-e7a38ac46df7', 'user-42', 'Shocked Woodpecker', '2026-11-23 10:48:58.127877+00', '2026-11-23 10:48:58.127877+00', NULL, NULL, NULL, NULL, NULL, '{}', NULL, '2026-11-23 10:48:58.127877+00', '2026-11-23 10:48:58.127877+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '2d42862d-1cfc-43c3-a512-88c675f5f17d', NULL, 'Desirable Catfish', '2026-11-23 10:48:59.930498+00', '2026-11-23 10:48:59.930498+00', NULL, 'anon_cuMsBRR9Yt8E3oQdYaCR', NULL, NULL, NULL, '{}', NULL, '2026-11-23 10:48:59.930498+00', '2026-11-23 10:48:59.930498+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '77bfea3e-22d5-4adc-9dd6-3cc237eff524', NULL, 'Socialist Owl', '2026-11-23 10:48:59.968855+00', '2026-11-23 10:48:59.968855+00', NULL, 'anon_rrin03xqLulkk4g8iWPI', NULL, NULL, NULL, '{}', NULL, '2026-11-23 10:48:59.968855+00', '2026-11-23 10:48:59.968855+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '7dae115f-bf2e-4af6-88e7-c37f0d610d07', NULL, 'Harsh Ferret', '2026-11-23 10:49:00.001661+00', '2026-11-23 10:49:00.001661+00', NULL, 'anon_JzTEKTPlY7a1nCTGYbOE', NULL, NULL, NULL, '{}', NULL, '2026-11-23 10:49:00.001661+00', '2026-11-23 10:49:00.001661+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '8cb7e397-4f42-46a4-8a0e-43b09dbeb9c6', NULL, 'Acceptable Swordtail', '2026-11-23 10:49:00.04714+00', '2026-11-23 10:49:00.04714+00', NULL, 'anon_Y6GvIxoORXmW8Z2aRDPS', NULL, NULL, NULL, '{}', NULL, '2026-11-23 10:49:00.04714+00', '2026-11-23 10:49:00.04714+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'dc2e70e9-67ff-4111-8886-45b90ccd01b7', NULL, 'Symbolic Quelea', '2026-11-23 10:49:00.151703+00', '2026-11-23 10:49:00.151703+00', NULL, NULL, 'mary@example.com', '$argon2id$v=19$m=19456,t=2,p=1$PfmjQXAMizqdzq+xOfOBDw$0d8Gjja5g6RIv354gVB/cDDDaiSjRgiUJNRYvsOJvwE', NULL, '{}', NULL, '2026-11-23 10:49:00.151703+00', '2026-11-23 10:49:00.151703+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'd582e60f-0e0e-4359-a980-24915272b941', NULL, 'Overseas Bandicoot', '2026-11-23 10:49:00.026988+00', '2026-11-23 10:49:00.026988+00', NULL, 'anon_9VfV0N9b4l9Ge6Abzcqi', NULL, NULL, NULL, '{}', NULL, '2026-11-23 10:49:00.026988+00', '2026-11-23 10:49:00.300094+00');


--
-- Data for Name: balances; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.balances VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '77bfea3e-22d5-4adc-9dd6-3cc237eff524', '63099dbe-01cf-4b6a-a4f9-f48472d5e1a1', 300, 200, 0, 2, '2026-11-23 10:49:00.196196+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '2d42862d-1cfc-43c3-a512-88c675f5f17d', '25de8516-172f-49f9-8ea7-5334dbf98466', 70, 70, 0, 2, '2026-11-23 10:49:00.244391+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '7dae115f-bf2e-4af6-88e7-c37f0d610d07', '63099dbe-01cf-4b6a-a4f9-f48472d5e1a1', 300, 200, 0, 2, '2026-11-23 10:49:00.244391+00');


--
-- Data for Name: claim_idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.claim_idempotency_keys VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '77bfea3e-22d5-4adc-9dd6-3cc237eff524', 'claim-of-Grace', '\xb6ddd948ddbbda408819a05ff4905bf5b98cb679b518ba3d0a39909e26ab0e83', '61a2d4fa-83e8-4812-b800-af57d01ac804', '2026-11-23 10:49:00.178235+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '7dae115f-bf2e-4af6-88e7-c37f0d610d07', 'claim-of-Eve', '\xb6ddd948ddbbda408819a05ff4905bf5b98cb679b518ba3d0a39909e26ab0e83', '3983478c-72cb-4005-95ba-582ac860391a', '2026-11-23 10:49:00.219652+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '2d42862d-1cfc-43c3-a512-88c675f5f17d', 'claim-of-Ada', '\x9ae218a045d9bf54c620e4c81ec01d0dc9d5d49ad418e8ecff5441501f5fcca2', '1f95b625-7ad9-47e2-9946-87828e50a50e', '2026-11-23 10:49:00.26723+00');


--
-- Data for Name: currencies; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.currencies VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '25de8516-172f-49f9-8ea7-5334dbf98466', 'gems', 'gems', NULL, false, 0, 70, '2026-11-23 10:48:52.600594+00', '2026-11-23 10:48:52.600594+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '63099dbe-01cf-4b6a-a4f9-f48472d5e1a1', 'coins', 'coins', NULL, false, 100, 9007199254740991, '2026-11-23 10:48:53.502775+00', '2026-11-23 10:48:53.502775+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'e94c9b9e-4b6d-4449-849f-7cc37efc41ae', 'tickets', 'tickets', NULL, false, 0, 9007199254740991, '2026-11-23 10:48:54.490505+00', '2026-11-23 10:48:54.490505+00', '2026-11-23 10:48:58.949802+00');


--
-- Data for Name: currency_transactions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.currency_transactions OVERRIDING SYSTEM VALUE VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '0b9aa672-2dcc-4d2b-bb0e-b629655de386', 1, '2d42862d-1cfc-43c3-a512-88c675f5f17d', '25de8516-172f-49f9-8ea7-5334dbf98466', 1, 50, 50, 50, 70, 'earn', 'referral', '61a2d4fa-83e8-4812-b800-af57d01ac804', '2026-11-23 10:49:00.205507+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'd752a5e8-477f-44b4-babe-a860f2b76fb5', 2, '77bfea3e-22d5-4adc-9dd6-3cc237eff524', '63099dbe-01cf-4b6a-a4f9-f48472d5e1a1', 1, 100, 100, 100, 9007199254740991, 'grant', 'system', NULL, '2026-11-23 10:49:00.205902+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'b9a8a425-f541-4d63-81fb-454900dd1ad3', 3, '77bfea3e-22d5-4adc-9dd6-3cc237eff524', '63099dbe-01cf-4b6a-a4f9-f48472d5e1a1', 2, 200, 200, 300, 9007199254740991, 'earn', 'referral', '61a2d4fa-83e8-4812-b800-af57d01ac804', '2026-11-23 10:49:00.205911+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'a3dd257b-e52f-45f0-ac53-bf84fa3f6166', 4, '2d42862d-1cfc-43c3-a512-88c675f5f17d', '25de8516-172f-49f9-8ea7-5334dbf98466', 2, 50, 20, 70, 70, 'earn', 'referral', '3983478c-72cb-4005-95ba-582ac860391a', '2026-11-23 10:49:00.247788+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '68489c66-6898-4792-b2c0-e8b8720a4598', 5, '7dae115f-bf2e-4af6-88e7-c37f0d610d07', '63099dbe-01cf-4b6a-a4f9-f48472d5e1a1', 1, 100, 100, 100, 9007199254740991, 'grant', 'system', NULL, '2026-11-23 10:49:00.24785+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'eecd62f0-6058-479c-844d-298429a77034', 6, '7dae115f-bf2e-4af6-88e7-c37f0d610d07', '63099dbe-01cf-4b6a-a4f9-f48472d5e1a1', 2, 200, 200, 300, 9007199254740991, 'earn', 'referral', '3983478c-72cb-4005-95ba-582ac860391a', '2026-11-23 10:49:00.247856+00');


--
-- Data for Name: identity_providers; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.identity_providers VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'google', '{our-app}', '2026-11-23 10:48:57.263933+00');


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.migrations VALUES
	(1, 1795300000000, 'InitialSchema1795300000000'),
	(2, 1795310000000, 'ClientSessions1795310000000');


--
-- Data for Name: projects; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.projects VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'A game of before', 8, NULL, '2026-11-23 10:48:51.737779+00', '2026-11-23 10:48:51.737779+00', NULL);


--
-- Data for Name: referral_claims; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.referral_claims VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '61a2d4fa-83e8-4812-b800-af57d01ac804', '5e810f35-7d09-4e12-b744-06178e993110', '2d42862d-1cfc-43c3-a512-88c675f5f17d', '77bfea3e-22d5-4adc-9dd6-3cc237eff524', '{"gems":50}', '{"coins":200}', '2026-11-23 10:49:00.188687+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '3983478c-72cb-4005-95ba-582ac860391a', '5e810f35-7d09-4e12-b744-06178e993110', '2d42862d-1cfc-43c3-a512-88c675f5f17d', '7dae115f-bf2e-4af6-88e7-c37f0d610d07', '{"gems":50}', '{"coins":200}', '2026-11-23 10:49:00.236266+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '1f95b625-7ad9-47e2-9946-87828e50a50e', '3b93411b-b645-4b1a-8c61-5624fc801618', NULL, '2d42862d-1cfc-43c3-a512-88c675f5f17d', '{}', '{"tickets":3}', '2026-11-23 10:49:00.273279+00');


--
-- Data for Name: referral_codes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.referral_codes VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'eb0cfb34-d0e4-4962-b194-8d184826c64a', NULL, 'FRIENDS', DEFAULT, '{"gems":50}', '{"coins":200}', 0, NULL, true, '2026-11-23 10:48:55.469028+00', '2026-11-23 10:48:55.469028+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '5e810f35-7d09-4e12-b744-06178e993110', '2d42862d-1cfc-43c3-a512-88c675f5f17d', 'Z5X9HPSF', DEFAULT, '{"gems":50}', '{"coins":200}', 2, NULL, true, '2026-11-23 10:49:00.168774+00', '2026-11-23 10:49:00.219652+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '3b93411b-b645-4b1a-8c61-5624fc801618', NULL, 'PROMO', DEFAULT, '{}', '{"tickets":3}', 1, 2, true, '2026-11-23 10:48:56.393883+00', '2026-11-23 10:49:00.26723+00', NULL);


--
-- Data for Name: refresh_tokens; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.refresh_tokens VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '464dc63a-e054-4f82-ba00-ad7ff2e4b344', '43364497-2e08-4b44-81a5-15203c5869e9', NULL, '\xa486c8dc1012667c6d6ebc43dabd20670747f1de19df4c843f555851765b8648', '2026-11-23 10:48:59.940918+00', '2036-11-20 10:48:59.940918+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '41b81f76-f662-4174-ac8f-12c2c89313b5', '901a4b49-e3d9-42e8-be34-dbc1d17e99ff', NULL, '\x58ce0d4d97d4e6951abdd8eaf3493438a50e87231440cdcc583f6cfef20e615a', '2026-11-23 10:48:59.985904+00', '2036-11-20 10:48:59.985904+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'b6fc7464-e1b8-4b9f-a83d-0b89890c0321', '243ced57-5b7b-4f60-b74b-56b6b80c4418', NULL, '\x31ae7c4fcf0f919f0991fb9285ff8e75bcd6f4bec9a7da6a942646e93f7ac3ae', '2026-11-23 10:49:00.012197+00', '2036-11-20 10:49:00.012197+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '7b17ef90-b9c2-44b6-8118-b102169d5640', '7300e514-bc13-451b-bfe5-73c1267b0451', NULL, '\xe88b18ddbc31247ab291864ed6bec2849accb336e21c5e5ea795a547f6e1bfbd', '2026-11-23 10:49:00.051962+00', '2036-11-20 10:49:00.051962+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '4b098f95-be8c-469a-b9ab-44b22ef8a8f0', 'e081a19f-8cd7-47ad-90dc-d846a6c0c01b', NULL, '\xb51b0c75d83313aa0d8ca2a72f69638e018ba39858e3ba5c44b28c09ccee3f09', '2026-11-23 10:49:00.155112+00', '2036-11-20 10:49:00.155112+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '9d4ac1e9-6c3d-46cb-a33b-ab3c2740f7b3', 'c1eff65d-657f-4d87-a172-877ede384e3d', NULL, '\x76aa38ad7c45c7365902ff71c29da28ac5fc784c51f5077d18b98e20a6eeb25a', '2026-11-23 10:49:00.03375+00', '2036-11-20 10:49:00.03375+00', '2026-11-23 10:49:00.29671+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '81838fe7-fa3d-4db9-bead-66ff4ef724b6', 'c1eff65d-657f-4d87-a172-877ede384e3d', '9d4ac1e9-6c3d-46cb-a33b-ab3c2740f7b3', '\xb2d7befe0f8f4784480d434f862a93e3cf3d66ecabf2337afdc92182b9081df1', '2026-11-23 10:49:00.297125+00', '2036-11-20 10:49:00.297125+00', NULL);


--
-- Data for Name: reward_grants; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.reward_grants VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '7c45c6c8-186d-480f-8b4c-f52876451219', '61a2d4fa-83e8-4812-b800-af57d01ac804', 'referrer', '2d42862d-1cfc-43c3-a512-88c675f5f17d', 'gems', 50, 'granted', 50, '0b9aa672-2dcc-4d2b-bb0e-b629655de386', 1, NULL, '2026-11-23 10:49:02.191+00', '2026-11-23 10:49:00.178235+00', '2026-11-23 10:49:00.206615+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'c3f5f4ba-ee3d-44a9-ad5e-a4f9e3b1fd85', '61a2d4fa-83e8-4812-b800-af57d01ac804', 'referee', '77bfea3e-22d5-4adc-9dd6-3cc237eff524', 'coins', 200, 'granted', 200, 'b9a8a425-f541-4d63-81fb-454900dd1ad3', 1, NULL, '2026-11-23 10:49:02.191+00', '2026-11-23 10:49:00.178235+00', '2026-11-23 10:49:00.206672+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'c88d36f3-6c1a-422c-b524-0a44142386aa', '3983478c-72cb-4005-95ba-582ac860391a', 'referrer', '2d42862d-1cfc-43c3-a512-88c675f5f17d', 'gems', 50, 'granted', 20, 'a3dd257b-e52f-45f0-ac53-bf84fa3f6166', 1, NULL, '2026-11-23 10:49:02.238+00', '2026-11-23 10:49:00.219652+00', '2026-11-23 10:49:00.248511+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '56fbda19-254d-4735-9d20-b5a9f7a216de', '3983478c-72cb-4005-95ba-582ac860391a', 'referee', '7dae115f-bf2e-4af6-88e7-c37f0d610d07', 'coins', 200, 'granted', 200, 'eecd62f0-6058-479c-844d-298429a77034', 1, NULL, '2026-11-23 10:49:02.238+00', '2026-11-23 10:49:00.219652+00', '2026-11-23 10:49:00.248562+00'),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'e32f2d35-0ff2-4339-b44a-966217269aa9', '1f95b625-7ad9-47e2-9946-87828e50a50e', 'referee', '2d42862d-1cfc-43c3-a512-88c675f5f17d', 'tickets', 3, 'pending', NULL, NULL, 1, 'The project has no currency "tickets".', '2026-11-23 10:49:02.307+00', '2026-11-23 10:49:00.26723+00', NULL);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '43364497-2e08-4b44-81a5-15203c5869e9', '2d42862d-1cfc-43c3-a512-88c675f5f17d', '2026-11-23 10:48:59.938716+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '901a4b49-e3d9-42e8-be34-dbc1d17e99ff', '77bfea3e-22d5-4adc-9dd6-3cc237eff524', '2026-11-23 10:48:59.985234+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '243ced57-5b7b-4f60-b74b-56b6b80c4418', '7dae115f-bf2e-4af6-88e7-c37f0d610d07', '2026-11-23 10:49:00.011326+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'c1eff65d-657f-4d87-a172-877ede384e3d', 'd582e60f-0e0e-4359-a980-24915272b941', '2026-11-23 10:49:00.033128+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', 'e081a19f-8cd7-47ad-90dc-d846a6c0c01b', 'dc2e70e9-67ff-4111-8886-45b90ccd01b7', '2026-11-23 10:49:00.154494+00', NULL),
	('e8c36f2f-d245-4c22-a8fa-e54b41ecffce', '7300e514-bc13-451b-bfe5-73c1267b0451', '8cb7e397-4f42-46a4-8a0e-43b09dbeb9c6', '2026-11-23 10:49:00.049503+00', '2026-11-23 10:49:00.311214+00');


--
-- Data for Name: user_identities; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Name: currency_transactions_seq_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.currency_transactions_seq_seq', 6, true);


--
-- Name: migrations_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.migrations_id_seq', 2, true);


--
-- Name: migrations PK_8c82d7f526340ab734260ea46be; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.migrations
    ADD CONSTRAINT "PK_8c82d7f526340ab734260ea46be" PRIMARY KEY (id);


--
-- Name: api_keys api_keys_digest_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_digest_unique UNIQUE (project_id, digest);


--
-- Name: api_keys api_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (project_id, id);


--
-- Name: app_users app_users_anonymous_id_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.app_users
    ADD CONSTRAINT app_users_anonymous_id_unique UNIQUE (project_id, anonymous_id);


--
-- Name: app_users app_users_email_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.app_users
    ADD CONSTRAINT app_users_email_unique UNIQUE (project_id, email);


--
-- Name: app_users app_users_external_id_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.app_users
    ADD CONSTRAINT app_users_external_id_unique UNIQUE (project_id, external_id);


--
-- Name: app_users app_users_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.app_users
    ADD CONSTRAINT app_users_pkey PRIMARY KEY (project_id, id);


--
-- Name: balances balances_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.balances
    ADD CONSTRAINT balances_pkey PRIMARY KEY (project_id, user_id, currency_id);


--
-- Name: claim_idempotency_keys claim_idempotency_keys_claim_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_idempotency_keys
    ADD CONSTRAINT claim_idempotency_keys_claim_unique UNIQUE (project_id, claim_id);


--
-- Name: claim_idempotency_keys claim_idempotency_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_idempotency_keys
    ADD CONSTRAINT claim_idempotency_keys_pkey PRIMARY KEY (project_id, user_id, key);


--
-- Name: currencies currencies_code_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.currencies
    ADD CONSTRAINT currencies_code_unique UNIQUE (project_id, code);


--
-- Name: currencies currencies_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.currencies
    ADD CONSTRAINT currencies_pkey PRIMARY KEY (project_id, id);


--
-- Name: currency_transactions currency_transactions_chain_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.currency_transactions
    ADD CONSTRAINT currency_transactions_chain_unique UNIQUE (project_id, user_id, currency_id, entry_no);


--
-- Name: currency_transactions currency_transactions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.currency_transactions
    ADD CONSTRAINT currency_transactions_pkey PRIMARY KEY (project_id, id);


--
-- Name: currency_transactions currency_transactions_source_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.currency_transactions
    ADD CONSTRAINT currency_transactions_source_unique UNIQUE (project_id, reference_id, source, user_id, currency_id);


--
-- Name: identity_providers identity_providers_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.identity_providers
    ADD CONSTRAINT identity_providers_pkey PRIMARY KEY (project_id, provider);


--
-- Name: projects projects_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (id);


--
-- Name: referral_claims referral_claims_once_per_user; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_claims
    ADD CONSTRAINT referral_claims_once_per_user UNIQUE (project_id, referral_code_id, referee_id);


--
-- Name: referral_claims referral_claims_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_claims
    ADD CONSTRAINT referral_claims_pkey PRIMARY KEY (project_id, id);


--
-- Name: referral_codes referral_codes_canonical_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_codes
    ADD CONSTRAINT referral_codes_canonical_unique UNIQUE (project_id, code_canonical);


--
-- Name: referral_codes referral_codes_one_per_user; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_codes
    ADD CONSTRAINT referral_codes_one_per_user UNIQUE (project_id, user_id);


--
-- Name: referral_codes referral_codes_owner_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_codes
    ADD CONSTRAINT referral_codes_owner_unique UNIQUE (project_id, id, user_id);


--
-- Name: referral_codes referral_codes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_codes
    ADD CONSTRAINT referral_codes_pkey PRIMARY KEY (project_id, id);


--
-- Name: refresh_tokens refresh_tokens_digest_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_digest_unique UNIQUE (project_id, digest);


--
-- Name: refresh_tokens refresh_tokens_one_child; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_one_child UNIQUE (project_id, parent_id);


--
-- Name: refresh_tokens refresh_tokens_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (project_id, id);


--
-- Name: reward_grants reward_grants_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reward_grants
    ADD CONSTRAINT reward_grants_pkey PRIMARY KEY (project_id, id);


--
-- Name: reward_grants reward_grants_promise_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reward_grants
    ADD CONSTRAINT reward_grants_promise_unique UNIQUE (project_id, claim_id, side, currency_code);


--
-- Name: reward_grants reward_grants_transaction_unique; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reward_grants
    ADD CONSTRAINT reward_grants_transaction_unique UNIQUE (project_id, transaction_id);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (project_id, id);


--
-- Name: user_identities user_identities_one_per_provider; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_identities
    ADD CONSTRAINT user_identities_one_per_provider UNIQUE (project_id, user_id, provider);


--
-- Name: user_identities user_identities_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_identities
    ADD CONSTRAINT user_identities_pkey PRIMARY KEY (project_id, provider, provider_id);


--
-- Name: api_keys_by_digest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX api_keys_by_digest ON public.api_keys USING btree (digest);


--
-- Name: currency_transactions_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX currency_transactions_by_user ON public.currency_transactions USING btree (project_id, user_id, seq DESC);


--
-- Name: referral_claims_by_referee; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX referral_claims_by_referee ON public.referral_claims USING btree (project_id, referee_id);


--
-- Name: referral_codes_templates; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX referral_codes_templates ON public.referral_codes USING btree (project_id, created_at, id) WHERE (user_id IS NULL);


--
-- Name: refresh_tokens_one_live; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX refresh_tokens_one_live ON public.refresh_tokens USING btree (project_id, session_id) WHERE (used_at IS NULL);


--
-- Name: reward_grants_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reward_grants_due ON public.reward_grants USING btree (next_attempt_at) WHERE (status = 'pending'::text);


--
-- Name: sessions_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_user ON public.sessions USING btree (project_id, user_id);


--
-- Name: balances balances_within_max_balance; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER balances_within_max_balance AFTER INSERT OR UPDATE ON public.balances FOR EACH ROW EXECUTE FUNCTION public.balances_check_max();


--
-- Name: currencies currencies_max_balance_covers_balances; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER currencies_max_balance_covers_balances AFTER UPDATE OF max_balance ON public.currencies FOR EACH ROW WHEN ((new.max_balance < old.max_balance)) EXECUTE FUNCTION public.currencies_check_max();


--
-- Name: currency_transactions currency_transactions_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER currency_transactions_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.currency_transactions FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();


--
-- Name: referral_claims referral_claims_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER referral_claims_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.referral_claims FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();


--
-- Name: api_keys api_keys_project_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_project_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: app_users app_users_project_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.app_users
    ADD CONSTRAINT app_users_project_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: balances balances_currency_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.balances
    ADD CONSTRAINT balances_currency_fkey FOREIGN KEY (project_id, currency_id) REFERENCES public.currencies(project_id, id);


--
-- Name: balances balances_user_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.balances
    ADD CONSTRAINT balances_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES public.app_users(project_id, id);


--
-- Name: claim_idempotency_keys claim_idempotency_keys_claim_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_idempotency_keys
    ADD CONSTRAINT claim_idempotency_keys_claim_fkey FOREIGN KEY (project_id, claim_id) REFERENCES public.referral_claims(project_id, id);


--
-- Name: claim_idempotency_keys claim_idempotency_keys_user_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_idempotency_keys
    ADD CONSTRAINT claim_idempotency_keys_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES public.app_users(project_id, id);


--
-- Name: currencies currencies_project_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.currencies
    ADD CONSTRAINT currencies_project_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: currency_transactions currency_transactions_balance_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.currency_transactions
    ADD CONSTRAINT currency_transactions_balance_fkey FOREIGN KEY (project_id, user_id, currency_id) REFERENCES public.balances(project_id, user_id, currency_id);


--
-- Name: identity_providers identity_providers_project_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.identity_providers
    ADD CONSTRAINT identity_providers_project_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: referral_claims referral_claims_code_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_claims
    ADD CONSTRAINT referral_claims_code_fkey FOREIGN KEY (project_id, referral_code_id) REFERENCES public.referral_codes(project_id, id);


--
-- Name: referral_claims referral_claims_referee_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_claims
    ADD CONSTRAINT referral_claims_referee_fkey FOREIGN KEY (project_id, referee_id) REFERENCES public.app_users(project_id, id);


--
-- Name: referral_claims referral_claims_referrer_owns_code; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_claims
    ADD CONSTRAINT referral_claims_referrer_owns_code FOREIGN KEY (project_id, referral_code_id, referrer_id) REFERENCES public.referral_codes(project_id, id, user_id);


--
-- Name: referral_codes referral_codes_project_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_codes
    ADD CONSTRAINT referral_codes_project_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: referral_codes referral_codes_user_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.referral_codes
    ADD CONSTRAINT referral_codes_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES public.app_users(project_id, id);


--
-- Name: refresh_tokens refresh_tokens_parent_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_parent_fkey FOREIGN KEY (project_id, parent_id) REFERENCES public.refresh_tokens(project_id, id);


--
-- Name: refresh_tokens refresh_tokens_session_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_fkey FOREIGN KEY (project_id, session_id) REFERENCES public.sessions(project_id, id);


--
-- Name: reward_grants reward_grants_claim_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reward_grants
    ADD CONSTRAINT reward_grants_claim_fkey FOREIGN KEY (project_id, claim_id) REFERENCES public.referral_claims(project_id, id);


--
-- Name: reward_grants reward_grants_transaction_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reward_grants
    ADD CONSTRAINT reward_grants_transaction_fkey FOREIGN KEY (project_id, transaction_id) REFERENCES public.currency_transactions(project_id, id);


--
-- Name: reward_grants reward_grants_user_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reward_grants
    ADD CONSTRAINT reward_grants_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES public.app_users(project_id, id);


--
-- Name: sessions sessions_user_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES public.app_users(project_id, id);


--
-- Name: user_identities user_identities_user_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_identities
    ADD CONSTRAINT user_identities_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES public.app_users(project_id, id);


--
-- PostgreSQL database dump complete
--


