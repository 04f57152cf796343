package samples

// region holds what the people of one country have in common.
type region struct {
	key, name, country string
	adjective          string
	offset             int // minutes east of UTC in winter
	summer             func(at int64) bool
	language, langName string
	second, secondName string // a second language that many speak
	male, female       []name
	family             []name
	places             []place
	streets            []string
	house              string // pattern of the house number
	houseFirst         bool
	mobile, landline   string
	ids                []idKind
	twoFamilies        bool // the mother's family name follows the father's
	greeting           string
	reminder           string // SMS text before the name of the clinic
	weight             int    // adults' usual BMI in tenths
}

// name is a name in Latin letters and, where people write another script, in that.
type name struct{ latin, local string }

// place is a town with its position in 1/10000 degree.
type place struct {
	city, state, postal string
	lat, lon            int
}

// idKind is a kind of identifier: HL7 table 0203 type, naming system and pattern.
type idKind struct {
	code, name, system, pattern string
	check                       func(string) string
	percent                     int // of the people who have one
}

func latin(names ...string) []name {
	out := make([]name, len(names))
	for i, n := range names {
		out[i].latin = n
	}
	return out
}

func regions() []region {
	return []region{kenya(), india(), peru(), haiti(), germany()}
}

func kenya() region {
	return region{
		key: "kenya", name: "Kenya", country: "KE", adjective: "Kenyan", offset: 180, language: "sw", langName: "Swahili", second: "en-KE", secondName: "English (Kenya)",
		male: latin("John", "Peter", "James", "Joseph", "David", "Samuel", "Daniel", "Brian", "Kevin", "Dennis", "Collins", "Victor", "Kipchoge", "Kiprono",
			"Otieno", "Ochieng", "Odhiambo", "Kamau", "Mwangi", "Njoroge", "Mutua", "Musyoka", "Hassan", "Abdi", "Juma", "Baraka", "Emmanuel", "Felix"),
		female: latin("Mary", "Grace", "Faith", "Mercy", "Esther", "Jane", "Lucy", "Rose", "Beatrice", "Caroline", "Purity", "Sharon", "Achieng", "Akinyi",
			"Atieno", "Adhiambo", "Wanjiku", "Wambui", "Njeri", "Nyambura", "Chebet", "Jepkosgei", "Mwende", "Kalekye", "Halima", "Amina", "Zawadi", "Neema"),
		family: latin("Otieno", "Ouma", "Owino", "Odongo", "Okoth", "Kamau", "Mwangi", "Kariuki", "Njuguna", "Wanjala", "Wekesa", "Barasa", "Kiplagat", "Cheruiyot",
			"Rotich", "Koech", "Kibet", "Mutiso", "Muthoka", "Kilonzo", "Nyong'o", "Ong'ondo", "Mohamed", "Ali", "Hussein", "Mwakio", "Nyabuto", "Omondi"),
		places: []place{
			{"Kisumu", "Kisumu County", "40100", -917, 347680},
			{"Nakuru", "Nakuru County", "20100", -3031, 360800},
			{"Eldoret", "Uasin Gishu County", "30100", 5143, 352698},
			{"Nairobi", "Nairobi City County", "00100", -12864, 368172},
			{"Mombasa", "Mombasa County", "80100", -40435, 396682},
			{"Kakamega", "Kakamega County", "50100", 2827, 347519},
			{"Machakos", "Machakos County", "90100", -15177, 372634},
			{"Nyeri", "Nyeri County", "10100", -4201, 369476},
			{"Kisii", "Kisii County", "40200", -6817, 347717},
			{"Garissa", "Garissa County", "70100", -4532, 396461},
		},
		streets: []string{"Oginga Odinga Road", "Kenyatta Avenue", "Moi Avenue", "Jomo Kenyatta Highway", "Achieng Oneko Road", "Uganda Road", "Market Street", "Hospital Road", "Station Road", "Mission Lane"},
		house:   "P.O. Box @###,", houseFirst: true, mobile: "+254 7## ### ###", landline: "+254 20 @## ####",
		ids: []idKind{
			{"NI", "National ID number", "https://identifiers.example.org/ke/national-id", "@#######", nil, 85},
			{"SB", "Social health insurance number", "https://identifiers.example.org/ke/sha", "CR@###########-#", nil, 45},
		},
		greeting: "Habari", reminder: "Tafadhali kumbuka miadi yako ya kliniki. Njoo na kadi yako na dawa zako zote. Ukishindwa kufika, piga simu mapema.", weight: 231,
	}
}

func india() region {
	return region{
		key: "india", name: "India", country: "IN", adjective: "Indian", offset: 330, language: "hi", langName: "Hindi", second: "en-IN", secondName: "English (India)",
		male: []name{
			{"Rajesh", "राजेश"},
			{"Suresh", "सुरेश"},
			{"Ramesh", "रमेश"},
			{"Amit", "अमित"},
			{"Vijay", "विजय"},
			{"Sanjay", "संजय"},
			{"Anil", "अनिल"},
			{"Sunil", "सुनील"},
			{"Manoj", "मनोज"},
			{"Rahul", "राहुल"},
			{"Arjun", "अर्जुन"},
			{"Rohan", "रोहन"},
			{"Deepak", "दीपक"},
			{"Ganesh", "गणेश"},
			{"Mohan", "मोहन"},
			{"Kiran", "किरण"},
			{"Imran", "इमरान"},
			{"Aarav", "आरव"},
			{"Vivek", "विवेक"},
			{"Prakash", "प्रकाश"},
		},
		female: []name{
			{"Sunita", "सुनीता"},
			{"Anita", "अनीता"},
			{"Priya", "प्रिया"},
			{"Kavita", "कविता"},
			{"Lakshmi", "लक्ष्मी"},
			{"Sita", "सीता"},
			{"Gita", "गीता"},
			{"Meena", "मीना"},
			{"Rekha", "रेखा"},
			{"Asha", "आशा"},
			{"Usha", "उषा"},
			{"Pooja", "पूजा"},
			{"Neha", "नेहा"},
			{"Anjali", "अंजलि"},
			{"Radha", "राधा"},
			{"Savitri", "सावित्री"},
			{"Fatima", "फ़ातिमा"},
			{"Ananya", "अनन्या"},
			{"Divya", "दिव्या"},
			{"Shanti", "शांति"},
		},
		family: []name{
			{"Sharma", "शर्मा"},
			{"Verma", "वर्मा"},
			{"Gupta", "गुप्ता"},
			{"Singh", "सिंह"},
			{"Kumar", "कुमार"},
			{"Patel", "पटेल"},
			{"Yadav", "यादव"},
			{"Mishra", "मिश्रा"},
			{"Joshi", "जोशी"},
			{"Patil", "पाटिल"},
			{"Deshmukh", "देशमुख"},
			{"Kulkarni", "कुलकर्णी"},
			{"Reddy", "रेड्डी"},
			{"Nair", "नायर"},
			{"Rao", "राव"},
			{"Das", "दास"},
			{"Khan", "ख़ान"},
			{"Ansari", "अंसारी"},
			{"Chauhan", "चौहान"},
			{"Thakur", "ठाकुर"},
		},
		places: []place{
			{"Pune", "Maharashtra", "411001", 185204, 738567},
			{"Nagpur", "Maharashtra", "440001", 211458, 790882},
			{"Jaipur", "Rajasthan", "302001", 269124, 757873},
			{"Lucknow", "Uttar Pradesh", "226001", 268467, 809462},
			{"Patna", "Bihar", "800001", 255941, 851376},
			{"Bhopal", "Madhya Pradesh", "462001", 232599, 774126},
			{"Mysuru", "Karnataka", "570001", 122958, 766394},
			{"Coimbatore", "Tamil Nadu", "641001", 110168, 769558},
			{"Kochi", "Kerala", "682001", 99312, 762673},
			{"Bhubaneswar", "Odisha", "751001", 202961, 858245},
		},
		streets: []string{"Mahatma Gandhi Road", "Station Road", "Nehru Marg", "Tilak Road", "Gandhi Chowk", "Temple Street", "Subhash Nagar", "Shivaji Nagar", "Civil Lines", "Rajendra Colony"},
		house:   "House No. @##,", houseFirst: true, mobile: "+91 9#### #####", landline: "+91 20 2@## ####",
		ids: []idKind{
			{"NI", "Ayushman Bharat Health Account number", "https://healthid.ndhm.gov.in", "91-####-####-####", nil, 75},
			{"SB", "Ration card number", "https://identifiers.example.org/in/ration-card", "????##########", nil, 30},
		},
		greeting: "नमस्ते", reminder: "कृपया क्लिनिक में अपनी अगली जाँच की तारीख़ याद रखें। अपना कार्ड और सभी दवाइयाँ साथ लाएँ।", weight: 226,
	}
}

func peru() region {
	return region{
		key: "peru", name: "Perú", country: "PE", adjective: "Peruvian", offset: -300, language: "es-PE", langName: "Spanish (Peru)", second: "qu", secondName: "Quechua",
		male: latin("José", "Juan", "Luis", "Carlos", "Jorge", "Víctor", "Julio", "Miguel Ángel", "César", "Pedro", "Manuel", "Jesús", "Raúl", "Óscar",
			"Percy", "Wilmer", "Edwin", "Rubén", "Ángel", "Héctor", "Andrés", "Sebastián", "Thiago", "Iñigo"),
		female: latin("María", "Rosa", "Ana", "Juana", "Carmen", "Luz", "Julia", "Elena", "Gladys", "Flor de María", "Yolanda", "Martha", "Silvia", "Norma",
			"Milagros", "Sonia", "Rocío", "Lucía", "Inés", "Verónica", "Nélida", "Maribel", "Camila", "Begoña"),
		family: latin("Quispe", "Mamani", "Huamán", "Flores", "Rojas", "Sánchez", "García", "Rodríguez", "Condori", "Chávez", "Vásquez", "Ramos", "Díaz", "Ccori",
			"Torres", "López", "Gonzáles", "Pérez", "Castillo", "Espinoza", "Mendoza", "Apaza", "Ñahui", "Núñez", "Yupanqui", "Cáceres"),
		places: []place{
			{"Cusco", "Cusco", "08001", -135319, -719675},
			{"Arequipa", "Arequipa", "04001", -164090, -715375},
			{"Trujillo", "La Libertad", "13001", -81091, -790215},
			{"Piura", "Piura", "20001", -51945, -806328},
			{"Iquitos", "Loreto", "16001", -37437, -732516},
			{"Puno", "Puno", "21001", -158402, -700219},
			{"Ayacucho", "Ayacucho", "05001", -131588, -742239},
			{"Huancayo", "Junín", "12001", -120651, -752049},
			{"Cajamarca", "Cajamarca", "06001", -71638, -785003},
			{"Tacna", "Tacna", "23001", -180066, -702463},
		},
		streets: []string{"Avenida de la Cultura", "Jirón Ayacucho", "Calle San Martín", "Avenida El Sol", "Jirón Huánuco", "Calle Túpac Amaru", "Pasaje Los Álamos", "Avenida Ejército", "Jirón Junín", "Calle Bolívar"},
		house:   "@##", mobile: "+51 9## ### ###", landline: "+51 84 2## ###", twoFamilies: true,
		ids: []idKind{
			{"NI", "Documento Nacional de Identidad", "https://identifiers.example.org/pe/dni", "@#######", nil, 95},
			{"SB", "Seguro Integral de Salud", "https://identifiers.example.org/pe/sis", "2-########", nil, 55},
		},
		greeting: "Buenos días", reminder: "Le recordamos su próxima cita en el consultorio. Por favor traiga su carné y todos sus medicamentos. Si no puede venir, llámenos con anticipación.", weight: 262,
	}
}

func haiti() region {
	return region{
		key: "haiti", name: "Haïti", country: "HT", adjective: "Haitian", offset: -300, summer: americanSummer, language: "ht", langName: "Haitian Creole", second: "fr-HT", secondName: "French (Haiti)",
		male: latin("Jean", "Jean-Baptiste", "Pierre", "Joseph", "Frantz", "Wilson", "Wisly", "Emmanuel", "Ronald", "Évens", "Stanley", "Jacques", "Michel",
			"Réginald", "Dieudonné", "Fritz", "Jameson", "Hérold", "Yves", "Gérard", "Mackenson", "Olivier"),
		female: latin("Marie", "Rose-Marie", "Nadège", "Guerline", "Mirlande", "Widlène", "Fabienne", "Islande", "Roseline", "Esther", "Magalie", "Yolette", "Chantal",
			"Darline", "Judith", "Myriam", "Natacha", "Édeline", "Ketsia", "Lovely", "Dieula", "Solange"),
		family: latin("Jean", "Pierre", "Joseph", "Louis", "Charles", "François", "Jean-Louis", "Michel", "Étienne", "Baptiste", "Célestin", "Désir", "Augustin",
			"Saint-Fleur", "Saint-Vil", "Petit-Frère", "Toussaint", "Bien-Aimé", "Dorvil", "Exantus", "Estimé", "Noël", "Guerrier", "Théodore"),
		places: []place{
			{"Cap-Haïtien", "Nord", "HT1110", 197594, -722009},
			{"Port-au-Prince", "Ouest", "HT6110", 185392, -723364},
			{"Gonaïves", "Artibonite", "HT4110", 194456, -726892},
			{"Les Cayes", "Sud", "HT8110", 181940, -737463},
			{"Jacmel", "Sud-Est", "HT9110", 182341, -725347},
			{"Hinche", "Centre", "HT5110", 191436, -720040},
			{"Jérémie", "Grand'Anse", "HT7110", 186504, -741178},
			{"Port-de-Paix", "Nord-Ouest", "HT3110", 199398, -728304},
			{"Mirebalais", "Centre", "HT5210", 188332, -721050},
			{"Saint-Marc", "Artibonite", "HT4210", 191079, -726994},
		},
		streets: []string{"Rue Capois", "Rue de l'Hôpital", "Rue Toussaint Louverture", "Rue Espagnole", "Avenue Christophe", "Rue des Miracles", "Boulevard du Carénage", "Rue Saint-Jacques", "Grand'Rue", "Ruelle Chrétien"},
		house:   "#@,", houseFirst: true, mobile: "+509 3### ####", landline: "+509 2@## ####",
		ids: []idKind{
			{"NI", "Numéro d'identification nationale unique", "https://identifiers.example.org/ht/niu", "@#########", nil, 60},
			{"TAX", "Numéro d'identité fiscale", "https://identifiers.example.org/ht/nif", "00#-###-###-#", nil, 40},
		},
		greeting: "Bonjou", reminder: "N ap raple w randevou ou nan klinik la. Tanpri pote kat ou ak tout medikaman w ap pran yo. Si w pa kapab vini, rele nou davans.", weight: 222,
	}
}

func germany() region {
	return region{
		key: "germany", name: "Deutschland", country: "DE", adjective: "German", offset: 60, summer: europeanSummer, language: "de-DE", langName: "German (Germany)", second: "tr", secondName: "Turkish",
		male: latin("Thomas", "Michael", "Andreas", "Stefan", "Jörg", "Jürgen", "Günter", "Björn", "Sören", "Lukas", "Leon", "Finn", "Paul", "Jonas",
			"Felix", "Maximilian", "Karl-Heinz", "Götz", "Uwe", "Mehmet", "Can", "Matteo", "Noah", "Heinrich"),
		female: latin("Sabine", "Susanne", "Petra", "Monika", "Käthe", "Jördis", "Bärbel", "Anneliese", "Julia", "Lea", "Emma", "Mia", "Hannah", "Sophie",
			"Marie-Luise", "Ursula", "Renate", "Heike", "Katrin", "Ayşe", "Elif", "Clara", "Frieda", "Leonie"),
		family: latin("Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schäfer", "Koch", "Bauer", "Richter", "Klein", "Wolf",
			"Schröder", "Neumann", "Schwarz", "Zimmermann", "Krüger", "Hofmann", "Großmann", "Weiß", "Yılmaz", "Kaya", "von Bülow", "Lüdemann"),
		places: []place{
			{"Berlin", "Berlin", "10115", 525200, 134050},
			{"Hamburg", "Hamburg", "20095", 535511, 99937},
			{"München", "Bayern", "80331", 481351, 115820},
			{"Köln", "Nordrhein-Westfalen", "50667", 509375, 69603},
			{"Leipzig", "Sachsen", "04109", 513397, 123731},
			{"Dresden", "Sachsen", "01067", 510504, 137373},
			{"Freiburg im Breisgau", "Baden-Württemberg", "79098", 479990, 78421},
			{"Bremen", "Bremen", "28195", 530793, 88017},
			{"Erfurt", "Thüringen", "99084", 509848, 110299},
			{"Kiel", "Schleswig-Holstein", "24103", 543233, 101228},
		},
		streets: []string{"Hauptstraße", "Bahnhofstraße", "Gartenweg", "Schillerstraße", "Goethestraße", "Lindenallee", "Am Mühlbach", "Kirchgasse", "Königsplatz", "Ringstraße"},
		house:   "@#", mobile: "+49 15# ########", landline: "+49 30 @#######",
		ids: []idKind{
			{"SB", "Krankenversichertennummer", "http://fhir.de/sid/gkv/kvid-10", "?########", kvnr, 90},
			{"PPN", "Passport number", "https://identifiers.example.org/de/passport", "C@#######", nil, 15},
		},
		greeting: "Guten Tag", reminder: "Wir erinnern Sie an Ihren nächsten Termin in unserer Praxis. Bitte bringen Sie Ihre Versichertenkarte und den Medikationsplan mit. Größere Änderungen teilen Sie uns bitte früh mit.", weight: 258,
	}
}

// kvnr appends the check digit to a German health insurance number: the letter counts as two digits, every second digit
// is doubled and its digits added, the sum is taken modulo 10 (section 290 SGB V, appendix 1 of the assignment rules).
func kvnr(s string) string {
	letter := int(s[0]-'A') + 1
	sum, digits := 0, append([]byte{byte('0' + letter/10), byte('0' + letter%10)}, s[1:]...)
	for i, c := range digits {
		d := int(c - '0')
		if i%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return s + string(byte('0'+sum%10))
}
