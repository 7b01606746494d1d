"""
What a traveller's document says of itself: who issued it, and until when it is good.

States are three letters: ISO 3166-1 alpha-3, and what ICAO Doc 9303 part 3 adds for organisations and for people
without a state. Germany's single D of the machine-readable zone is read as DEU.
"""

from datetime import date

from django.utils.translation import gettext_lazy as _

from refusals import Refusal

# Written out: the lists that come with the packages here (tzdata's, for declarations) have two letters alone.
_ISO_3166 = (
    "ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH BLM "
    "BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR "
    "CYM CYP CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB "
    "GIN GLP GMB GNB GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA "
    "JAM JEY JOR JPN KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA "
    "MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR "
    "NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS "
    "SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON "
    "TTO TUN TUR TUV TWN TZA UGA UKR UMI URY USA UZB VAT VCT VEN VGB VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE"
)
# Doc 9303 part 3, section 5: unions, British nationalities, organisations; XXA stateless, XXB and XXC refugees, XXX
# whose nationality is not specified. All of them are what genuine documents show.
_ICAO_9303 = "EUE GBD GBN GBO GBP GBS RKS UNA UNK UNO XBA XCC XCO XEC XIM XMP XOM XPO XXA XXB XXC XXX"

ISSUERS = frozenset(_ISO_3166.split()) | frozenset(_ICAO_9303.split())


class IssuerUnknown(Refusal):
    code = "issuer_unknown"
    message = _("%(given)s is no issuing state. Type the three letters that the document shows, such as MEX or USA.")
    status = 422


def read_issuer(text: str) -> str:
    """
    Return the three letters of an issuing state or organisation.

    :raises IssuerUnknown:
    """
    folded = text.replace("<", "").strip().upper()
    folded = "DEU" if folded == "D" else folded
    if folded not in ISSUERS:
        raise IssuerUnknown(given="".join(letter for letter in text[:8] if letter.isprintable()) or "–")
    return folded


def is_expired(expires_on: date | None, *, on: date) -> bool:
    """Tell whether the document is past its last day; one without a date of expiry is not."""
    return expires_on is not None and expires_on < on
